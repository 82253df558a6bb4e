"""Reads seeded mutations of one kind of file, in a process with limits of time and memory.

``python -m tests.soak.fuzzing KIND FOLDER SEED COUNT`` prints a line of JSON for every mutation
that was neither read nor refused in a sentence, and one of counts at the end.
"""

import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from camid.io.folder import Folder
from tests.mutations import mutated, mutated_tree

MOST_SECONDS = 60
"""Of one mutation, on a machine that may be busy with other tests."""
MOST_BYTES = 6 * 2**30
"""Of address space that a mutation may take, besides what the process had before."""
LONGEST = 2000
"""Characters of a sentence that says why a file is refused."""
BRIGHT = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


class Kind(NamedTuple):
    """A kind of file: how a sound one is made in a folder, and all ways in which it is read."""

    name: str
    """Of the file that is mutated, in the folder."""
    make: Callable[[Folder], None]
    read: Callable[[Folder], object]
    written: Callable[[Folder, str, bytes], None] = Folder.write
    """How mutated bytes are written: where others' seals would hide what is behind them, sealed."""


def _picture(name: str, **how: Any) -> Kind:
    from PIL import Image

    def make(folder: Folder) -> None:
        file = io.BytesIO()
        image = Image.fromarray(BRIGHT).convert(how.pop("mode", "RGB"))
        image.save(file, how.pop("format"), **how)
        folder.write(name, file.getvalue())

    def read(folder: Folder) -> None:
        from camid.casework.photographs import opened, photographs
        from camid.dataset.sources import find_files, read_headers

        path = f"{folder.uri}/{name}"
        found = find_files(folder.uri)
        (record,) = read_headers(found, min_side=32, max_megapixels=50)
        assert record.image_id == name
        (photograph,) = photographs([path])
        assert photograph.path == path
        opened(path)

    return Kind(name, make, read)


def _entry() -> Kind:
    from camid.casework.database import Fingerprints
    from camid.casework.fingerprint_sums import EnrolledImage, Sample, Sums

    def make(folder: Folder) -> None:
        rng = np.random.default_rng(2)
        sums = Sums.empty(192, 192)
        for number in range(3):
            image = EnrolledImage(sha256=f"{number:064x}", name=f"{number}.jpg")
            sums = sums.plus(image, Sample.of(rng.integers(40, 210, (192, 192, 3), np.uint8)))
        entry = Fingerprints(f"{folder.uri}/db").write("camera", sums)
        folder.write("entry.parquet", folder.read(f"db/{entry.file}"))
        folder.write("name", entry.file.encode())

    def read(folder: Folder) -> None:
        database = Fingerprints(f"{folder.uri}/db")
        entries, damaged = database.contents()
        assert len(entries) + len(damaged) == 1
        for entry in entries:
            database.pattern(entry)
            database.sums(entry)

    def written(folder: Folder, _: str, data: bytes) -> None:
        folder.write(f"db/{folder.read('name').decode()}", data)

    return Kind("entry.parquet", make, read, written)


def _store(name: str) -> Kind:
    from tests.unit.stores import Chunk, small_store

    def make(folder: Folder) -> None:
        small_store(folder.uri, {"a": [Chunk(images=2)], "b": [Chunk(images=2)]})

    def read(folder: Folder) -> None:
        from camid.store.index import chunk_grids
        from camid.store.settings import stored_config
        from camid.store.store import open_store
        from camid.store.verify import problems

        list(problems(open_store(folder.uri)))
        store = open_store(folder.uri)
        stored_config(store)
        chunk_grids(store.index)
        for record in store.images():
            with store.chunk(record.device, record.chunk) as chunk:
                chunk.pages()
                for group in range(chunk.num_row_groups):
                    chunk.read(group).residuals()

    return Kind(name, make, read)


def _output(name: str) -> Kind:
    """A file of an output folder: its digest is made anew, so that all is tried behind it."""
    from camid.io.digested import write_digested, write_json

    def make(folder: Folder) -> None:
        row = {"method": "lukas", "kind": "pairs", "images": "4+4", "crop_size": 128}
        row |= {"eer": 0.2, "num_positives": 40, "num_negatives": 90, "num_devices": 9}
        row |= {"num_crops": 4, "negatives": "all", "split": "all", "auc": 0.9, "part": ""}
        part = {"name": "Make Model", "devices": ["a", "b"], "images": 4}
        difference = {k: row[k] for k in ("kind", "images", "crop_size", "num_crops", "split")}
        difference |= {"negatives": "all", "method": "li", "baseline": "lukas", "figure": "eer"}
        difference |= {"value": 0.1, "low": 0.0, "high": 0.2, "verdict": "undecided"}
        difference |= {"of_method": 0.2, "of_baseline": 0.1}
        write_json(folder, "results.json", [row, row | {"method": "li"}])
        counts = {"num_files": 5, "num_images": 4, "num_devices": 2, "store_seed": 1}
        split = {"name": "all", "train": [], "validation": [], "test": ["a", "b"], "missing": []}
        data = {
            **counts,
            **{"pipeline": "baselines", "source": "/x", "store_digest": "1", "plan_digest": "2"},
            **{"models": [part], "sizes": [part], "simulated": None, "versions": {"numpy": "2"}},
            **{"kinds": {"foreground": 4}, "provenances": {"": 4}},
            "rejected": [{"reason": "empty", "files": 1, "examples": ["a"]}],
            "split": split | {"num_scenes": {"test": 3}},
        }
        write_json(folder, "data.json", data)
        write_json(folder, "differences.json", [difference])
        write_json(folder, "mlflow.json", {"server": "", "runs": {"": "0" * 32}, "written": [""]})
        write_json(folder, "search.json", {"trials": 2, "importances": {"siamese.width": 1.0}})
        trial = {"number": 0, "values": {"training.learning_rate": 0.1}, "state": "finished"}
        write_json(folder / "trials/00000", "trial.json", trial)

    def read(folder: Folder) -> None:
        from camid.evaluation.report.page import report_page
        from camid.evaluation.search_summary import read_search
        from camid.runtime.tracking.runs import Logbook, missing
        from camid.training.trials import read_trials

        report_page(folder)
        read_search(folder)
        read_trials(folder)
        assert isinstance(missing(folder, []), list)
        assert Logbook(folder).runs is not None

    place, _, last = name.rpartition("/")
    return Kind(
        name, make, read, lambda folder, _, data: write_digested(folder / place, last, data)
    )


def _sealed_arrays() -> Kind:
    import hashlib

    from camid.training.checkpoint import Progress, checkpoint_bytes, checkpoint_parts

    def written(folder: Folder, name: str, data: bytes) -> None:
        content = data[:-32]
        folder.write(name, content + hashlib.sha256(content).digest())

    progress = Progress(step=3, history=[{"step": 3, "validation_auc": 0.5}])
    arrays = [np.arange(6.0), np.zeros((2, 3), np.float32)]
    return Kind(
        "checkpoint.npz",
        lambda folder: folder.write("checkpoint.npz", checkpoint_bytes(arrays, progress)),
        lambda folder: checkpoint_parts(folder.read("checkpoint.npz")),
        written,
    )


def _list() -> Kind:
    from camid.comparison.comparison_list import read_list, write_list
    from tests.unit.galleries import gallery

    def level(first: int, second: int) -> str:
        return "same-device" if first == second else "unknown"

    listed = gallery("abc", num_queries=2, level=level)
    return Kind(
        "list.parquet",
        lambda folder: write_list(folder, "list.parquet", listed),
        lambda folder: read_list(folder, "list.parquet"),
    )


def _network(*, inner: bool) -> Kind:
    """A network: the file's bytes, or those of its weights within a sound archive."""
    from camid.comparison.networks.files import network_bytes, read_network
    from camid.comparison.networks.siamese import siamese
    from camid.config import Siamese

    member = "model.weights.h5"

    def make(folder: Folder) -> None:
        data = network_bytes(siamese(Siamese(extractor="small"), size=16))
        folder.write("whole.keras", data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            folder.write(member, archive.read(member))
        folder.write("one.keras", data)

    def written(folder: Folder, _: str, data: bytes) -> None:
        file = io.BytesIO()
        whole = io.BytesIO(folder.read("whole.keras"))
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(file, "w") as new:
            for held in old.namelist():
                new.writestr(held, data if held == member else old.read(held))
        folder.write("one.keras", file.getvalue())

    def read(folder: Folder) -> None:
        from camid.comparison.methods.networks import network_samples

        network_samples(f"{folder.uri}/one.keras")
        read_network(folder, "one.keras")

    return Kind(member, make, read, written) if inner else Kind("one.keras", make, read)


def _weights() -> Kind:
    from camid.comparison.methods.pairnet import shipped_network
    from camid.comparison.networks.pairnet_numpy import evidence, read_weights

    def read(folder: Folder) -> None:
        weights = read_weights(folder.read("weights.npz"))
        evidence(BRIGHT[:32, :32].astype(np.float32), BRIGHT[:8, :8, 0], weights)

    return Kind("weights.npz", lambda folder: folder.write("weights.npz", shipped_network()), read)


def _text(name: str, text: str, read: Callable[[Folder], object]) -> Kind:
    return Kind(name, lambda folder: folder.write(name, text.encode()), read)


def _config() -> Kind:
    from camid.config import Config, config_yaml, load_config

    return _text(
        "config.yaml",
        config_yaml(Config()),
        lambda folder: load_config(f"{folder.uri}/config.yaml"),
    )


def _split() -> Kind:
    from camid.config import Splits
    from camid.dataset.records import ImageRecord
    from camid.dataset.splits import named_split

    images = [ImageRecord(image_id=f"{d}/1.jpg", device=d, path=f"/{d}") for d in "abcd"]
    return _text(
        "split.yaml",
        "validation: [a]\ntest: [b, c]\nscenes:\n  validation: ['1']\n  test: ['2']\n",
        lambda folder: named_split(f"{folder.uri}/split.yaml", images, settings=Splits(), seed=1),
    )


def _table(name: str) -> Kind:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    def make(folder: Folder) -> None:
        rows = {"path": ["a/1.jpg", "b/2.jpg"], "device": ["a", "b"], "angle": ["0", "90"]}
        sink = pa.BufferOutputStream()
        writes = pa.csv.write_csv if name.endswith(".csv") else pa.parquet.write_table
        writes(pa.table(rows), sink)
        folder.write(name, sink.getvalue().to_pybytes())

    def read(folder: Folder) -> None:
        from camid.dataset.sources import find_files, read_headers

        found = find_files(f"{folder.uri}/{name}")
        list(read_headers(found, min_side=32, max_megapixels=50))

    return Kind(name, make, read)


KINDS: dict[str, Callable[[], Kind]] = {
    "jpeg": lambda: _picture("a.jpg", format="JPEG", quality=90),
    "progressive jpeg": lambda: _picture("a.jpg", format="JPEG", progressive=True),
    "printed jpeg": lambda: _picture("a.jpg", format="JPEG", mode="CMYK"),
    "png": lambda: _picture("a.png", format="PNG"),
    "palette png": lambda: _picture("a.png", format="PNG", mode="P"),
    "tiff": lambda: _picture("a.tif", format="TIFF"),
    "packed tiff": lambda: _picture("a.tif", format="TIFF", compression="tiff_lzw"),
    "deflated tiff": lambda: _picture("a.tif", format="TIFF", compression="tiff_adobe_deflate"),
    "jpeg tiff": lambda: _picture("a.tif", format="TIFF", compression="jpeg"),
    "webp": lambda: _picture("a.webp", format="WEBP"),
    "lossless webp": lambda: _picture("a.webp", format="WEBP", lossless=True),
    "entry": _entry,
    "chunk": lambda: _store("device=a/chunk-00000.parquet"),
    "manifest": lambda: _store("manifest.parquet"),
    "index": lambda: _store("index.parquet"),
    "description": lambda: _store("store.json"),
    "results": lambda: _output("results.json"),
    "data": lambda: _output("data.json"),
    "differences": lambda: _output("differences.json"),
    "logbook": lambda: _output("mlflow.json"),
    "search": lambda: _output("search.json"),
    "trial": lambda: _output("trials/00000/trial.json"),
    "checkpoint": _sealed_arrays,
    "list": _list,
    "network": lambda: _network(inner=False),
    "network's weights": lambda: _network(inner=True),
    "pair network": _weights,
    "configuration": _config,
    "split": _split,
    "csv table": lambda: _table("table.csv"),
    "parquet table": lambda: _table("table.parquet"),
}


def main(name: str, root: str, seed: int, count: int) -> None:
    """Read ``count`` mutations of a kind of file, and print what is wrong with any."""
    kind, sound = KINDS[name](), Folder(f"{root}/sound")
    kind.make(sound)
    kind.read(sound)  # which also imports all that is read with
    data, is_json = sound.read(kind.name), kind.name.endswith(".json")
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    counts = {"read": 0, "refused": 0, "seconds": 0.0}
    before = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (before + MOST_BYTES, -1))
    for number in range(seed, seed + count):
        choice = random.Random(f"{name} {number}")
        folder = Folder(f"{root}/{number}")
        shutil.copytree(sound.uri, folder.uri)
        kind.written(folder, kind.name, changed(data, choice, is_json=is_json))
        print(json.dumps({"begun": number}), flush=True)
        started = time.monotonic()
        try:
            with _alarm():
                kind.read(folder)
            counts["read"] += 1
        except (ValueError, OSError) as error:
            counts["refused"] += 1
            words = " ".join(str(error).split())  # as commands print it, made visible
            if not 0 < len(words) < LONGEST:
                print(json.dumps({"seed": number, "fault": f"no sentence: {words!r}"}), flush=True)
        except BaseException as error:  # whatever else it is, it is a fault
            at = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"
            print(json.dumps({"seed": number, "fault": told}), flush=True)
        counts["seconds"] = max(counts["seconds"], time.monotonic() - started)
        shutil.rmtree(folder.uri)
    counts["mebibytes"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held) / 2**20
    print(json.dumps({"counts": counts}), flush=True)


def changed(data: bytes, choice: random.Random, *, is_json: bool) -> bytes:
    """Return a mutation of a file's bytes; of JSON, as often one of its values."""
    if is_json and choice.random() < 0.5:
        return json.dumps(mutated_tree(json.loads(data), choice)).encode()
    return mutated(data, choice)


class Late(BaseException):
    """A mutation took too long."""


@contextmanager
def _alarm() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Late(f"longer than {MOST_SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
