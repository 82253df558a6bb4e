"""Comparison lists of a gallery, made by hand: every query against every device."""

from collections.abc import Callable, Sequence

from camid.comparison.comparison_list import Comparison, ComparisonList, ListedSide


def gallery(
    devices: Sequence[str], *, num_queries: int, level: Callable[[int, int], str]
) -> ComparisonList:
    """Return a gallery of two enrolled images a device; ``level`` says what two devices share.

    Sides are first the devices, then the queries of each; comparisons go query by query.
    """
    sides = [ListedSide(device=name, images=(f"{name}e", f"{name}f")) for name in devices]
    own = [number for number in range(len(devices)) for _ in range(num_queries)]
    sides += [
        ListedSide(device=devices[number], images=(f"{devices[number]}q{query % num_queries}",))
        for query, number in enumerate(own)
    ]
    return ComparisonList(
        seed=1,
        crop_size=0,
        strip_size=256,
        is_gallery=True,
        sides=tuple(sides),
        comparisons=tuple(
            Comparison(
                first=column,
                second=len(devices) + query,
                label=int(number == column),
                level="same-device" if number == column else level(number, column),
                crops=(),
            )
            for query, number in enumerate(own)
            for column in range(len(devices))
        ),
    )
