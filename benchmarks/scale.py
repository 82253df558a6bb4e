"""Planning, indexing, splitting and drawing for many images: seconds and memory of one process.

A manifest of so many photographs of 12 megapixels, 250 a device and four devices a model, goes the
way of a real one, but no photograph is there: `python -m benchmarks.scale 1000000 10000000`.
"""

import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from camid.comparison.draw_list import drawn_list
from camid.config import load_config
from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.splits import enrolled, named_split
from camid.io.folder import Folder
from camid.prnu.strips import positions
from camid.store.build import ChunkContent, finish
from camid.store.chunk_file import (
    SCHEMA_VERSION,
    ChunkFile,
    ImageStatus,
    SampleFormat,
    StripBatch,
    write_chunk,
)
from camid.store.chunk_plan import chunks_of, plan_digest, planned
from camid.store.index import Indexed, index_table, num_row_groups
from camid.store.store import (
    INDEX,
    MANIFEST,
    open_store,
    write_description,
    write_table,
    write_tables,
)
from camid.training.pair_sampling import candidates
from camid.training.pairs import drawn

NUM_IMAGES = (100_000, 1_000_000)
PER_DEVICE, PER_MODEL = 250, 4
STEPS, PAIRS = 100, 32
NUM_CHUNKS = 300
CONFIG = load_config(settings=["comparisons.num_pairs=1000"])


def records(num_images: int) -> Iterator[ImageRecord]:
    """Yield the records of photographs that are nowhere."""
    for number in range(num_images):
        device, shot = divmod(number, PER_DEVICE)
        model = f"Model {device // PER_MODEL}"
        name = f"{model}-{device % PER_MODEL}/IMG_{shot:08d}.JPG"
        yield ImageRecord(
            image_id=name,
            device=name.partition("/")[0],
            kind="background" if shot % 5 == 0 else "foreground",
            make="Maker",
            model=model,
            scene=f"{device // 10}:{shot}" if shot % 50 == 1 else "",
            width=4000,
            height=3000,
            path=f"/data/photographs/{name}",
            bytes=4_000_000 + number % 1000,
            sha256=hashlib.sha256(name.encode()).hexdigest(),
        )


@contextmanager
def told(what: str) -> Iterator[None]:
    """Print the seconds of a part, and the most memory that the process has had by its end."""
    started = time.perf_counter()
    yield
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"  {what:44} {time.perf_counter() - started:8.1f} s  {most:6.2f} GiB", flush=True)


def prepare(folder: Folder, num_images: int) -> None:
    """Do what the driver of preprocessing does, without a photograph."""
    with told("catalogue: records as columns"):
        images = ImageTable.of(records(num_images))
    with told("plan: chunks dealt"):
        images = planned(images, strips=CONFIG.strips, chunks=CONFIG.chunks, seed=1)
        plan = chunks_of(images)
    with told(f"digest of {len(plan):,} chunks"):
        digest = plan_digest(plan)
    with told("index"):
        where = positions(3000, 4000, **asdict(CONFIG.strips))
        chunks = images.counted("device", "chunk").items()
        index = index_table(Indexed(*chunk, count, where) for chunk, count in sorted(chunks))
    with told(f"files: manifest, index of {num_row_groups(index):,} row groups"):
        files = {MANIFEST: write_tables(folder, MANIFEST, images.by_id().plain())}
        files[INDEX] = write_table(folder, INDEX, index)
        facts = {"schema_version": SCHEMA_VERSION, "settings": {}, "samples": {}}
        write_description(
            folder, {**facts, "plan_digest": digest, "files": files, "content_digest": "none"}
        )
    sizes = (f"{name} {folder.size(name) / 1e6:.1f} MB" for name in (MANIFEST, INDEX))
    print(f"  {', '.join(sizes)}")


def open_chunks(folder: Folder) -> None:
    """Finish a store of chunks with the row groups of such photographs, and strips of 8 px."""
    form = SampleFormat(size=8, dtype="int8", step=0.125, filter={})
    images = ImageTable.of(records(NUM_CHUNKS * CONFIG.chunks.max_images))
    plan = chunks_of(planned(images, strips=CONFIG.strips, chunks=CONFIG.chunks, seed=1))
    where = positions(3000, 4000, **asdict(CONFIG.strips))
    contents = []
    for name, chunk in zip(plan.names, plan, strict=True):
        ids = tuple(image.image_id for image in chunk.images)
        samples = np.zeros((len(ids), 8, 8, 3), np.int8)
        greys = np.zeros((len(ids), 2, 2), np.uint8)
        batches = (
            StripBatch(image_ids=ids, position=p, samples=samples, intensity=greys, step=0.125)
            for p in where
        )
        statuses = [
            ImageStatus(image_id=i.image_id, sha256=i.sha256, status="ok") for i in chunk.images
        ]
        content = write_chunk(
            folder, name, batches=batches, form=form, digest=chunk.digest, statuses=statuses
        )
        contents.append((name, ChunkContent(content, len(ids), where)))
    description = {"settings": {}, "samples": form.facts, "plan_digest": ""}
    finish(folder, plan.records, contents, description)
    started = time.perf_counter()
    for name in set(folder.files()) & set(plan.names):
        with ChunkFile(folder, name):
            pass
    took = (time.perf_counter() - started) / len(plan)
    print(f"  a chunk's file listed and opened, on this disk: {1000 * took:.1f} ms")


def draw(folder: Folder) -> None:
    """Do what the driver of a training and of an evaluation does before any strip is read."""
    store = open_store(folder.uri)
    with told("store opened"):
        images = store.images()
    with told("split"):
        split = named_split("seeded", images, settings=CONFIG.splits, seed=1)
    with told("candidates of training"):
        found = candidates(store, split.images("train", images))
    with told(f"{STEPS} steps of {PAIRS} pairs, of {found.num_images:,} images"):
        for step in range(STEPS):
            drawn(found, step, num_pairs=PAIRS, size=256, settings=CONFIG.pairs, seed=1)
    tested = split.images("test", images)
    with told(f"1,000 comparisons of {len(tested):,} images"):
        drawn_list(tested, settings=CONFIG.comparisons, strips=CONFIG.strips, seed=1)
    with told("enrolment of the test's devices"):
        enrolled(tested, settings=CONFIG.enrolment, seed=1)


def main() -> None:
    """Do both, each in a process of its own, for each number of images."""
    if sys.argv[1:2] == ["prepare"]:
        prepare(Folder(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["draw"]:
        draw(Folder(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            open_chunks(Folder(folder))
        for count in map(int, sys.argv[1:] or NUM_IMAGES):
            with tempfile.TemporaryDirectory() as folder:
                print(f"{count:,} photographs")
                for part in ("prepare", "draw"):
                    command = [sys.executable, "-m", "benchmarks.scale", part, folder, str(count)]
                    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])


if __name__ == "__main__":
    main()
