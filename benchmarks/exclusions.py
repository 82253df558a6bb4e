"""What one camera's sides, edited or small, are told to be: ``python -m benchmarks.exclusions``.

Of each device of PHOTOGRAPHS, a folder that camid reads, or of simulated phones, some photographs
are one side and as many others the other, which is edited. Sides are verified as users verify them.
That two cameras took them is the wrong answer; a table by edit, one by size and grade of quality.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.artefacts import chosen_devices, chosen_names
from benchmarks.cases import as_jpeg
from camid.casework.decisions import DIFFERENT, REFUSED, SAME, UNDECIDED
from camid.casework.verify import verification
from camid.cli.errors import one_sentence
from camid.cli.tables import Heading, print_table
from camid.dataset.simulate.artefacts import ARTEFACTS
from camid.io.images import pixels

Pixels = NDArray[np.uint8]
Edit = Callable[[Pixels, int], Pixels]

EDITS: Mapping[str, Edit] = {
    "none": lambda image, _: image,
    "mirrored": ARTEFACTS["mirrored"],
    "upside down": lambda image, _: np.ascontiguousarray(image[::-1]),
    "turned by two degrees": ARTEFACTS["turned"],
    "stretched": ARTEFACTS["stretched"],
    "merged of tiles": ARTEFACTS["hdr"],
    "JPEG quality 50": lambda image, _: as_jpeg(image, 50),
    "shifted by 9 px": lambda image, _: np.ascontiguousarray(np.roll(image, (9, 9), (0, 1))),
}
DECISIONS = (SAME, UNDECIDED, DIFFERENT, REFUSED)


def middle(image: Pixels, size: int) -> Pixels:
    """Return the middle of an image, of at most so many pixels a side; 0 for all of it."""
    if not size:
        return image
    top, left = (max(0, (side - size) // 2) // 16 * 16 for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + size, left : left + size])


def sides(paths: Sequence[str], number: int, size: int) -> tuple[list[Pixels], list[Pixels]] | None:
    """Return two sides of photographs of the commonest shape, or None if they are too few."""
    read = [pixels(Path(path).read_bytes()) for path in paths]
    common = Counter(image.shape for image in read).most_common(1)[0][0]
    own = [middle(image, size) for image in read if image.shape == common]
    return (own[:number], own[number : 2 * number]) if len(own) >= 2 * number else None


def verified(first: Sequence[Pixels], second: Sequence[Pixels], folder: Path) -> tuple[str, str]:
    """Return the decision on two sides, and the worst grade of their photographs."""
    paths: list[list[str]] = [[], []]
    for number, side in enumerate((first, second)):
        for place, image in enumerate(side):
            paths[number].append(str(folder / f"{number}-{place}.png"))
            Image.fromarray(image).save(paths[number][-1], compress_level=1)
    answer, _ = verification(paths)
    return answer["decision"], answer["grade"]


def outcomes(
    devices: Mapping[str, Sequence[str]], *, edits: Sequence[str], number: int, sizes: Sequence[int]
) -> Iterator[tuple[str, int, str, str]]:
    """Yield edit, size, grade and decision of each trial."""
    with tempfile.TemporaryDirectory() as place:
        for paths in devices.values():
            for size in sizes:
                pair = sides(paths, number, size)
                for edit in edits if pair else ():
                    first, second = pair or ([], [])
                    edited = [EDITS[edit](image, n) for n, image in enumerate(second)]
                    decision, grade = verified(first, edited, Path(place))
                    yield edit, size, grade, decision


def table(title: str, rows: Mapping[tuple[str, ...], Counter[str]], *names: str) -> None:
    """Print how often each decision is, a row a condition."""
    headings = [*map(Heading, names), *(Heading(d, is_number=True) for d in DECISIONS)]
    print_table(
        headings,
        [
            (*key, *(str(counts[decision]) for decision in DECISIONS))
            for key, counts in rows.items()
        ],
        title=title,
    )


@click.command(help=__doc__)
@click.argument("photographs", required=False)
@click.option("--edits", default="", help=f"Of {', '.join(EDITS)}; else all.")
@click.option("--number", default=4, help="Photographs a side.")
@click.option("--sizes", default="0", help="Pixels a side of the middle; 0 for whole.")
@click.option("--devices", "num_devices", default=0, help="The first so many; 0 for all.")
def main(photographs: str | None, *, edits: str, number: int, sizes: str, num_devices: int) -> None:
    with one_sentence(), tempfile.TemporaryDirectory() as place:
        data, devices = chosen_devices(photographs, place, num_devices)
        names = chosen_names(edits, EDITS)
        by_edit: dict[tuple[str, ...], Counter[str]] = {(name,): Counter() for name in names}
        by_grade: dict[tuple[str, ...], Counter[str]] = {}
        trials = outcomes(devices, edits=names, number=number, sizes=[*map(int, sizes.split(","))])
        for edit, size, grade, decision in trials:
            by_edit[edit,][decision] += 1
            by_grade.setdefault((str(size or "whole"), grade), Counter())[decision] += 1
        table(f"{number}+{number}, one camera, {data}", by_edit, "second side")
        table("by size and grade", dict(sorted(by_grade.items())), "size", "worst grade")


if __name__ == "__main__":
    main()
