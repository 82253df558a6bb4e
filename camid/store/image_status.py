"""What became of a plan's images: of those that files tell of, and of those that are read now."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from camid.config import Strips
from camid.dataset.manifest import ImageTable
from camid.dataset.records import OK, ImageRecord
from camid.prnu.strips import positions
from camid.store.build import Written
from camid.store.chunk_file import ImageFate
from camid.store.chunk_plan import Plan

_UNREAD = b""


class Fates:
    """Digests and statuses of a plan's images, as far as they are known: 65 bytes an image.

    And the digests of the chunks that hold them.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._sha256: NDArray[np.bytes_] = np.full(len(plan.records), _UNREAD, "S64")
        self._contents: NDArray[np.bytes_] = np.full(len(plan), _UNREAD, "S64")
        self._is_known = np.zeros(len(plan.records), np.bool_)
        self._rejected: dict[int, str] = {}
        self._earlier: dict[str, str] = {}

    @property
    def num_known(self) -> int:
        """Images of which it is known what became of them."""
        return int(self._is_known.sum())

    def note(self, number: int, fates: Sequence[ImageFate], *, content: str) -> None:
        """Note what became of the images of a chunk, in the order of their ids, and its digest."""
        self._contents[number] = content.encode()
        for row, fate in zip(self.plan.rows(number).tolist(), fates, strict=True):
            self._sha256[row] = fate.sha256.encode()
            self._is_known[row] = True
            if fate.status != OK:
                self._rejected[row] = fate.status

    def note_earlier(self, fates: Iterable[ImageFate]) -> None:
        """Note what images were when a file was written that is made again."""
        self._earlier |= {fate.image_id: fate.sha256 for fate in fates}

    def forget(self, number: int) -> None:
        """Take what is known of a chunk's images for what they were: the chunk is made again."""
        for row, image in zip(self.plan.rows(number).tolist(), self.images(number), strict=True):
            self._earlier[image.image_id] = image.sha256
            self._sha256[row], self._is_known[row] = _UNREAD, False
            self._rejected.pop(row, None)

    def images(self, number: int) -> list[ImageRecord]:
        """Return the records of a chunk's images with the digests that are known."""
        digests = self._sha256[self.plan.rows(number)].tolist()
        images = self.plan[number].images
        return [replace(r, sha256=d.decode()) for r, d in zip(images, digests, strict=True)]

    def records(self) -> ImageTable:
        """Return the plan's records with all that is known."""
        records, changed = self.plan.records, {}
        if self._rejected:
            codes, names = records.texts("status")
            statuses = [names[code] for code in codes.tolist()]
            for row, status in self._rejected.items():
                statuses[row] = status
            changed["status"] = statuses
        digests = [digest.decode() for digest in self._sha256.tolist()]
        return records.replaced(sha256=digests, **changed)

    def written(self, strips: Strips) -> Iterator[Written]:
        """Yield what each chunk's file holds."""
        grid = cache(lambda height, width: positions(height, width, **asdict(strips)))
        out = np.zeros(len(self.plan.records), np.bool_)
        out[list(self._rejected)] = True
        for number, (size, height, width) in enumerate(self.plan.shapes.tolist()):
            kept = size - int(out[self.plan.rows(number)].sum())
            where = grid(height, width) if kept else ()
            yield Written(self._contents[number].decode(), kept, where)

    def changed(self) -> list[str]:
        """Return the images that have other bytes now than when an earlier run read them."""
        found = []
        for number in range(len(self.plan)) if self._earlier else ():
            for image in self.images(number):
                old, new = self._earlier.get(image.image_id), image.sha256
                if old and new and old != new:
                    found.append(image.image_id)
        return sorted(found)
