"""Text of others, such as names of files and devices, EXIF and servers' answers, made visible.

A name may hold a line feed that forges a line of an answer, a terminal's control sequence, or marks
that turn the direction of what follows. Wherever people or programs read text, these are escaped.
"""

import re

_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069"  # of direction, and without width
    "\u2028\u2029\ufeff\ud800-\udfff"  # separators of lines, and halves of characters
    "\U000e0000-\U000e007f]"  # tags, which nothing shows
)


LONGEST = 400
"""Characters of an error's message at most."""


def visible(text: str, *, keep: str = "") -> str:
    r"""Return text in which control, bidirectional and unencodable characters are escapes.

    Parameters
    ----------
    keep
        Characters that stay, such as the line feeds of a text of several lines.

    Examples
    --------
    >>> print(visible("a.jpg: strong\nsupport \x1b[31m\u202egpj"))
    a.jpg: strong\nsupport \x1b[31m\u202egpj
    """
    return _ACTIVE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def one_line(error: Exception) -> str:
    """Return an error's message as one visible line, or its type's name if it says nothing.

    Of a long one, which others' content may have made, the beginning.
    """
    words = visible(" ".join(str(error).split())) or type(error).__name__
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
