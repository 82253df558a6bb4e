"""Pages of a parquet column: their offsets, by the file's page index, and a page's value.

PyArrow reads row groups whole. A chunk's file has a page for every strip and an index of its pages,
so that single images' strips are fetched and decompressed. Only the content of chunk files is
understood: zstd, and PLAIN pages of one fixed-size value.

The format is https://parquet.apache.org/docs/file-format, in Thrift's compact protocol; the numbers
below are those of the fields in ``parquet.thrift``.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Offsets = NDArray[np.int64]

_ZSTD = pa.Codec("zstd")


def page_offsets(
    indexes: bytes, columns: Sequence[tuple[int, int]], *, num_rows: int
) -> list[Offsets]:
    """Return the starts of a column's pages in each row group, and the end of the last.

    PyArrow gives the offset of a column, but not of the index of its pages. The index begins with
    the column's first page, and its pages fill the column: so it is located and checked.

    Parameters
    ----------
    indexes
        The file's bytes from the end of its last row group on.
    columns
        Start and end of the column's bytes in each row group.
    num_rows
        Rows of each row group.

    Returns
    -------
    ``(row + 1,)`` int64 for each row group.

    Raises
    ------
    ValueError
        If the file has no index of pages of one row each.
    """
    offsets: list[Offsets] = []
    place = 0
    for start, end in columns:
        # A struct whose first field is a list of structs, of which the first begins with an i64.
        head = b"\x19" + _list_head(num_rows)
        place = max(0, indexes.find(head + b"\x16" + _varint(2 * start), place))
        bounds = _bounds(_Compact(indexes, place + len(head)), num_rows)
        if bounds[:1] != [start] or bounds[-1:] != [end]:
            raise ValueError("has no index of its strips")
        offsets.append(np.array(bounds, np.int64))
    return offsets


def page_value(page: bytes | memoryview, *, width: int, is_checked: bool = True) -> pa.Buffer:
    """Return the value of ``width`` bytes that a page holds, decompressed.

    The page's checksum, if any, is compared if ``is_checked``.

    Raises
    ------
    ValueError
        If the page is damaged, or not of one value of ``width`` bytes.
    """
    compact = _Compact(page)
    try:
        header = compact.struct()
        body = memoryview(page)[compact.place :]
        # A data page (0) of its size and checksum, with one value, PLAIN (0).
        facts = (header[1], header[2], header[3], header[5][1], header[5][2])
        if facts != (0, width, len(body), 1, 0):
            raise ValueError(f"not one value of {width} bytes")
        if is_checked and 4 in header and header[4] & 0xFFFFFFFF != zlib.crc32(body):
            raise ValueError("its checksum is another")
        return _ZSTD.decompress(body, width)
    except (LookupError, TypeError, ValueError, OSError) as error:
        raise ValueError(f"a damaged page: {error}") from None


def _bounds(pages: "_Compact", count: int) -> list[int]:
    """Return the starts of pages of a row each, and the last end; empty for other pages."""
    bounds: list[int] = []
    try:
        for row in range(count):
            fields = []
            for field_head in (0x16, 0x15, 0x16):  # offset, size and first row: i64, i32, i64
                if pages.byte() != field_head:
                    return []
                fields.append(pages.integer())
            start, size, first_row = fields
            if first_row != row or pages.byte() or (bounds and bounds[-1] != start):
                return []
            bounds[-1:] = [start, start + size]
    except IndexError:
        return []
    return bounds


def _list_head(count: int) -> bytes:
    """Return the first bytes of a list of ``count`` structs."""
    return bytes([count << 4 | 12]) if count < 15 else b"\xfc" + _varint(count)


def _varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


class _Compact:
    """Values of Thrift's compact protocol, read in order."""

    def __init__(self, data: bytes | memoryview, place: int = 0) -> None:
        self.data = data
        self.place = place

    def struct(self) -> dict[int, Any]:
        """Return a struct's fields by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.integer()
            fields[number] = self._value(head & 15)
        return fields

    def _value(self, kind: int) -> Any:
        match kind:
            case 1 | 2:  # true, false
                return kind == 1
            case 4 | 5 | 6:  # i16, i32, i64
                return self.integer()
            case 8:
                count = self._varint()
                self.place += count
                return bytes(self.data[self.place - count : self.place])
            case 12:
                return self.struct()
        raise ValueError(f"an unknown type {kind}")

    def byte(self) -> int:
        """Return the next byte."""
        self.place += 1
        return self.data[self.place - 1]

    def integer(self) -> int:
        """Return the next number of a struct or list."""
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        data, place = self.data, self.place
        byte = number = data[place]
        shift = 7
        if byte > 127:
            number &= 127
            while byte > 127:
                place += 1
                byte = data[place]
                number |= (byte & 127) << shift
                shift += 7
        self.place = place + 1
        return number
