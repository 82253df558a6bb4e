"""Fingerprints of a gallery's devices: one parquet file each, one row group per position."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from camid.dataset.records import ImageRecord, device_name
from camid.io.escaping import one_line
from camid.io.folder import Folder
from camid.prnu.fingerprint import PatternSum
from camid.prnu.luminance import grey
from camid.prnu.strips import Position
from camid.store.store import Store

_FACTS = b"camid.pattern"


def fingerprint_name(device: str) -> str:
    """Return the name of a device's fingerprint below their folder."""
    return f"{device_name(device)}.parquet"


def enrolment_digest(store: Store, images: Iterable[ImageRecord]) -> str:
    """Return a digest of a fingerprint's sources: a store's content and the images."""
    facts = [store.digest, sorted(record.image_id for record in images)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def write_fingerprint(folder: Folder, store: Store, images: tuple[ImageRecord, ...]) -> None:
    """Write the mean grey residual of a device's ``images``, streaming position by position.

    Only one position's strips of one chunk are in memory at a time. All images are of one device
    and pixel size, so their chunks hold the same positions in the same order.
    """
    device, image_ids = images[0].device, {record.image_id for record in images}
    numbers = sorted({record.chunk for record in images})
    with ExitStack() as stack:
        chunks = [stack.enter_context(store.chunk(device, number)) for number in numbers]
        size = chunks[0].format["shape"][0]
        facts = {
            "device": device,
            "num_images": len(images),
            "size": size,
            "digest": enrolment_digest(store, images),
        }
        schema = pa.schema(
            [("top", pa.int32()), ("left", pa.int32()), ("pattern", pa.binary(size * size * 4))],
            metadata={_FACTS: json.dumps(facts | {"seal": _seal(facts)})},
        )

        def fill(sink: Any) -> None:
            with pq.ParquetWriter(
                sink, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
            ) as writer:
                for group in range(chunks[0].num_row_groups):
                    total = PatternSum(np.zeros((size, size)), 0)
                    for chunk in chunks:
                        batch = chunk.read(group)
                        rows = [i for i, name in enumerate(batch.image_ids) if name in image_ids]
                        total += PatternSum.of(grey(batch.residuals()[rows]))
                    top, left = batch.position
                    row = {"top": top, "left": left, "pattern": total.pattern().tobytes()}
                    writer.write_table(pa.Table.from_pylist([row], schema=schema))

        folder.write(fingerprint_name(device), fill)


def _seal(facts: Mapping[str, Any]) -> str:
    stated = {name: value for name, value in facts.items() if name != "seal"}
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


class FingerprintFile:
    """One device's fingerprint, open for reading.

    Raises
    ------
    ValueError
        Here and where it is read, if the file is not as it was written.
    """

    def __init__(self, folder: Folder, device: str) -> None:
        name = fingerprint_name(device)
        self._address = folder.address(name)
        with self._whole():
            self._file = pq.ParquetFile(folder.open(name), page_checksum_verification=True)
            self._facts = json.loads(self._file.schema_arrow.metadata[_FACTS])
            self._size = int(self._facts["size"])
            if _seal(self._facts) != self._facts["seal"]:
                raise ValueError("what it says of itself was changed")

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Raise a sentence about the file where it is damaged."""
        try:
            yield
        except (FileNotFoundError, ConnectionError):
            raise
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            words = one_line(error)
            raise ValueError(
                f"{self._address}: not as it was written ({words}); delete it and run again"
            ) from None

    @property
    def digest(self) -> str:
        """The fingerprint's :func:`enrolment_digest`."""
        return str(self._facts["digest"])

    @cached_property
    def positions(self) -> dict[Position, int]:
        """The row group of each position."""
        with self._whole():
            table = self._file.read(columns=["top", "left"], use_threads=False)
        positions = zip(table["top"].to_pylist(), table["left"].to_pylist(), strict=True)
        return {position: group for group, position in enumerate(positions)}

    def read(self, position: Position) -> NDArray[np.float32]:
        """Return the mean grey residual at a position, ``(height, width)``, grey levels.

        Raises
        ------
        KeyError
            If the device has no such position.
        """
        group = self.positions[position]
        with self._whole():
            table = self._file.read_row_group(group, columns=["pattern"], use_threads=False)
            plane = np.frombuffer(table["pattern"][0].as_py(), np.float32)
            return plane.reshape(self._size, self._size)

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)

    def __enter__(self) -> "FingerprintFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Fingerprints(Mapping[int, FingerprintFile]):
    """Files of sides' fingerprints, each opened on first access; a context manager."""

    def __init__(self, folder: Folder, devices: Mapping[int, str]) -> None:
        """Take the folder, and the device of each side that has a fingerprint."""
        self._folder, self._devices = folder, devices
        self._opened: dict[int, FingerprintFile] = {}
        self._stack = ExitStack()

    def __getitem__(self, side: int) -> FingerprintFile:
        if side not in self._opened:
            file = FingerprintFile(self._folder, self._devices[side])
            self._opened[side] = self._stack.enter_context(file)
        return self._opened[side]

    def __contains__(self, side: object) -> bool:
        return side in self._devices

    def __iter__(self) -> Iterator[int]:
        return iter(self._devices)

    def __len__(self) -> int:
        return len(self._devices)

    def __enter__(self) -> "Fingerprints":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
