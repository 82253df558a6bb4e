"""A comparison list's evidence, gathered from a store a position at a time, in bounded memory.

At a position, comparisons are taken in tiles of some hundred sides or more. Sides are read when a
tile needs them, each row group once (twice where intensity is needed), and kept as long as the next
tile needs them too.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import partial

from camid.comparison.comparison_list import ComparisonList
from camid.comparison.fingerprint_file import FingerprintFile
from camid.comparison.located_list import LocatedList, Window
from camid.comparison.methods.method import Method
from camid.comparison.side_sums import Sides, gathered_by
from camid.comparison.sufficient_statistics import Evidence, Ledger
from camid.prnu.strips import Position
from camid.store.strip_reader import RowGroups

MAX_SAMPLES = 2**26
"""Samples of a tile's first sides, and of its second: 256 MB each, without derived arrays."""
MAX_WINDOWS = 2**18
"""Comparisons of a tile that are held at once."""


def position_evidence(
    located: LocatedList,
    position: Position,
    row_groups: RowGroups,
    methods: Mapping[str, Method],
    *,
    num_crops: Sequence[int] = (),
    taken: MutableMapping[str, float] | None = None,
    fingerprints: Mapping[int, FingerprintFile] | None = None,
) -> Evidence:
    """Return the evidence of a store on a list's comparisons, from one position.

    Methods get the sides' strips, each on its own.

    Parameters
    ----------
    num_crops
        Numbers of a comparison's crops, in their order, that are pooled: a sum for each number.
        Empty where whole strips are compared.
    taken
        Mapping that each method's seconds are added to, without those of reading.
    fingerprints
        Files with the mean grey residual of first sides, by side.

    Raises
    ------
    ValueError
        If an image of a compared side has no strip at the position.
    """
    listed, ways = located.listed, gathered_by(methods.values())
    sides = Sides(located, position, row_groups, ways, fingerprints=fingerprints)
    num_sides = max(1, MAX_SAMPLES // (listed.strip_size**2 * ways.num_planes))
    ledger = Ledger(listed, methods, num_crops=num_crops, taken=taken)
    for windows in _tiles(listed, located.windows(position), num_sides):
        pairs = [listed.comparisons[window.comparison] for window in windows]
        sides.hold({pair.first for pair in pairs}, {pair.second for pair in pairs})
        for name, method in methods.items():
            first = partial(sides.prepared, estimator=method.first)
            second = partial(sides.prepared, estimator=method.second)
            ledger.add(name, windows, first, second)
    return ledger.evidence()


def _tiles(
    listed: ComparisonList, windows: Sequence[Window], num_sides: int
) -> Iterator[list[Window]]:
    """Yield windows by blocks of sides, those that share a block together."""
    tiles: dict[tuple[int, int], list[Window]] = defaultdict(list)
    for window in windows:
        pair = listed.comparisons[window.comparison]
        tiles[pair.first // num_sides, pair.second // num_sides].append(window)
    for block in sorted(tiles):
        for start in range(0, len(tiles[block]), MAX_WINDOWS):
            yield tiles[block][start : start + MAX_WINDOWS]
