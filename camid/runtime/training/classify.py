"""A classifier's answers, computed on Ray, one task per chunk; a stopped run resumes from them."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from camid.config import Config
from camid.dataset.records import ImageRecord, chunk_name, manifest_table
from camid.dataset.splits.grouping import device_models
from camid.evaluation.classification import Asked
from camid.evaluation.patch_pooling import Answers
from camid.io.array_files import arrays_bytes, kept_arrays
from camid.io.folder import Folder
from camid.io.output_layout import ANSWERS
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.cluster.session import tensorflow_of_a_task
from camid.runtime.training.worker import SCORED_SAMPLES
from camid.store.store import Store, open_store
from camid.store.strip_reader import RowGroups
from camid.training.pair_sampling import candidates
from camid.training.patches import cut_patches, image_cuts, spread

MEMORY = 3 * 2**30
"""Bytes that a task needs: TensorFlow, the network, and a chunk's patches at one position."""


def classified(
    store: Store,
    images: Sequence[ImageRecord],
    devices: Sequence[str],
    output: Folder,
    *,
    network: str,
    config: Config,
) -> Asked:
    """Return a network's answers for images, in the order of the images.

    Parameters
    ----------
    devices
        Devices that the network distinguishes, in the order of its outputs.
    network
        Name of the network's file in ``output``.
    """
    by_chunk: dict[tuple[str, int], list[ImageRecord]] = defaultdict(list)
    for record in images:
        by_chunk[record.device, record.chunk].append(record)
    chunks = [(_part(*key), by_chunk[key]) for key in sorted(by_chunk)]
    missing_chunks = [
        manifest_table(records)
        for part, records in chunks
        if not {record.image_id for record in records} <= _answered(output, part).keys()
    ]
    work = partial(
        _classify, store=store.folder.uri, output=output.uri, network=network, config=config
    )
    needs: dict[str, Any] = {"memory": MEMORY, "takes_gpu": True}
    for _ in streamed(missing_chunks, work, description="ask", unit="images", **needs):
        pass
    answers = {
        name: answer for part, _ in chunks for name, answer in _answered(output, part).items()
    }
    label_of = {device: number for number, device in enumerate(devices)}
    models = device_models(store.images())
    return Asked(
        labels=np.array([label_of.get(record.device, -1) for record in images], np.int64),
        kinds=[record.kind for record in images],
        models=[models[record.device] for record in images],
        answers=Answers(
            totals=np.stack([answers[record.image_id][0] for record in images]),
            votes=np.stack([answers[record.image_id][1] for record in images]),
        ),
    )


def _answered(output: Folder, part: str) -> dict[str, tuple[Any, Any]]:
    """Return the totals and votes of each image of a kept part; empty if the part is missing."""
    if not output.exists(part):
        return {}
    arrays = kept_arrays(output, part)
    answers = zip(arrays["totals"], arrays["votes"], strict=True)
    return dict(zip(arrays["images"].tolist(), answers, strict=True))


def _classify(
    table: pa.Table, *, store: str, output: str, network: str, config: Config
) -> pa.Table:
    """Classify the images of one chunk, which ``table`` lists; runs on a worker."""
    tensorflow_of_a_task()
    folder, opened_store = Folder(output), open_store(store)
    records = [ImageRecord(**row) for row in table.to_pylist()]
    (chunk,) = candidates(opened_store, records).chunks[records[0].device]
    model = _network(output, network, folder.modified(network))
    size = config.patches.size or opened_store.description["samples"]["shape"][0]
    with RowGroups(opened_store) as row_groups:
        corners_by_position = spread(
            chunk.positions,
            strip_size=row_groups.shape[0],
            size=size,
            count=config.patches.per_image,
            seed=config.seed,
        )
        logits, images = [], []
        for position, corners in corners_by_position.items():
            cuts = [
                cut
                for number, row in enumerate(chunk.rows)
                for cut in image_cuts(chunk, row, {position: corners}, label=number)
            ]
            patches = cut_patches(cuts, row_groups, size=size)
            logits.append(_outputs(model, patches))
            images.append(patches.labels)
    answers = Answers.of(np.concatenate(logits), np.concatenate(images))
    image_ids = np.array(chunk.images.column("image_id").to_pylist())
    arrays = {"images": image_ids, "totals": answers.totals, "votes": answers.votes}
    folder.write(_part(chunk.device, chunk.chunk), arrays_bytes(arrays))
    return table.select(["image_id"])


def _outputs(model: Any, patches: Any) -> NDArray[np.float32]:
    batch_size = max(1, SCORED_SAMPLES // patches.samples[0].size)
    logits = []
    for start in range(0, len(patches.labels), batch_size):
        samples, scales, _ = patches.some(slice(start, start + batch_size)).arrays()
        logits.append(np.asarray(model.predict_on_batch(samples * scales)))
    return np.concatenate(logits)


def _part(device: str, chunk: int) -> str:
    return f"{ANSWERS}/{chunk_name(device, chunk).removesuffix('.parquet')}.npz"


@lru_cache(maxsize=2)
def _network(output: str, name: str, modified: int) -> Any:  # noqa: ARG001 - part of the cache key
    from camid.comparison.networks.files import read_network

    return read_network(Folder(output), name)
