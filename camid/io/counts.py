"""Counts in sentences."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things: ``no photographs``, ``1 photograph``, ``2 photographs``.

    Parameters
    ----------
    plural
        Plural of ``noun``, by default with an s.

    Examples
    --------
    >>> [counted(number, "entry", "entries") for number in (0, 1, 1200)]
    ['no entries', '1 entry', '1,200 entries']
    """
    words = noun if number == 1 else plural or f"{noun}s"
    return f"{number:,} {words}" if number else f"no {words}"


def tally(counts: dict[str, int], nothing: str) -> str:
    """Return counts by word without those of zero: ``4 accepted, 1 rejected``.

    Parameters
    ----------
    nothing
        Words for no count above zero.

    Examples
    --------
    >>> tally({"accepted": 4, "skipped": 0, "rejected": 1}, "nothing to do")
    '4 accepted, 1 rejected'
    """
    return ", ".join(f"{number:,} {words}" for words, number in counts.items() if number) or nothing
