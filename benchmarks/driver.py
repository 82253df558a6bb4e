"""How many processors one driver keeps busy: ``python -m benchmarks.driver``.

A driver is the program that gives Ray its tasks. Its processor time for a task, and for a file
whose header a worker reads, is held against the work in them: chunks made, headers read. No chunk
is made: work is counted by this machine's unit costs, as ``camid plan`` does.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from camid.cli.errors import one_sentence
from camid.cli.tables import Heading, print_table
from camid.config import Simulate, load_config
from camid.dataset.manifest import ImageTable
from camid.dataset.simulate import phones
from camid.dataset.sources import FoundFile, find_files, read_headers
from camid.io.folder import Folder
from camid.runtime.cluster.map_tasks import in_batches, streamed
from camid.runtime.cluster.session import session
from camid.runtime.ingest.preprocess import CPUS_OF_SUCH, PER_TASK, PIXELS_PER_TASK
from camid.store.chunk_plan import images_per_chunk
from camid.store.cost_model import measured

TASKS = (200, 1000)
"""Numbers of tasks; the difference of their times is of as many more."""
NUM_FILES, LINKS = 40_000, 10_000
"""Names of photographs, and of how many a file is one: file systems allow some ten thousand."""
SIZES = ((3000, 4000), (864, 1152))
"""Heights and widths of photographs."""


def unchanged(table: pa.Table) -> pa.Table:
    """Return a task's table: no work."""
    return table


def tables(number: int) -> Iterator[pa.Table]:
    """Yield tables as a task gets them: 16 photographs' rows."""
    for _ in range(number):
        yield pa.table({"row": ["photograph" * 30] * 16})


def headers(files: Sequence[FoundFile]) -> ImageTable:
    """Return the records of files, as a catalogue has them."""
    return ImageTable.of(read_headers(files, min_side=256, max_megapixels=250))


def seconds_a_task() -> float:
    """Return the driver's processor time for a task."""
    spent = []
    for number in TASKS:
        began = time.process_time()
        for _ in streamed(tables(number), unchanged, description="", unit="tasks"):
            pass
        spent.append(time.process_time() - began)
    return (spent[1] - spent[0]) / (TASKS[1] - TASKS[0])


def seconds_a_header(folder: Path) -> tuple[float, float]:
    """Return a driver's processor time a file: where workers read headers, and where it does."""
    (phone,) = phones(Simulate(num_devices=1, sizes=((1024, 768),)), seed=1)
    many = folder / "many"
    many.mkdir()
    for number in range(NUM_FILES):
        if number % LINKS == 0:
            photograph = folder / f"{number}.jpg"
            photograph.write_bytes(phone.photograph("foreground", 1))
        name = f"Eurecom_{100 + number // 100}_picFG_{number % 100:03d}.jpg"
        (many / name).hardlink_to(photograph)
    files = find_files(str(many))
    spent = []
    batches = (files[start : start + PER_TASK] for start in range(0, NUM_FILES, PER_TASK))
    for parts in (
        in_batches(batches, headers, description="", unit="files", total=NUM_FILES),
        map(headers, [files]),
    ):
        began = time.process_time()
        assert len(ImageTable.joined(parts).ok) == NUM_FILES
        spent.append((time.process_time() - began) / NUM_FILES)
    return spent[0], spent[1]


def main() -> None:
    with one_sentence(), tempfile.TemporaryDirectory() as place:
        config = load_config()
        costs = measured(config, place=Folder(place))
        with session():
            a_task, (far, here) = seconds_a_task(), seconds_a_header(Path(place))
        rows = []
        for height, width in SIZES:
            chunk = images_per_chunk(height, width, strips=config.strips, chunks=config.chunks)
            chunk_pixels = chunk * height * width
            pixels = -(-PIXELS_PER_TASK // chunk_pixels) * chunk_pixels
            work = pixels / 1e6 * costs.per_megapixel
            rows.append((f"{width}x{height}", f"{work:.1f} s", f"{work / a_task:.0f}"))
        headings = [
            Heading("photographs, px"),
            Heading("work in a task", is_number=True),
            Heading("processors", is_number=True),
        ]
        title = f"driver: {1000 * a_task:.1f} ms a task; tasks grow from {CPUS_OF_SUCH} processors"
        print_table(headings, rows, title=title)
        print(
            f"headers: the driver takes {1e6 * far:.0f} µs a file where workers read them, "
            f"{1e6 * here:.0f} µs where it does"
        )


if __name__ == "__main__":
    main()
