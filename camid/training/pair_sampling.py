"""Candidates: images of devices, by chunk, from which the sides of pairs are drawn."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np

from camid.comparison.balanced_sampling import (
    MAX_HELD,
    BalancedSampler,
    NumImages,
    Pool,
    Quartet,
)
from camid.dataset.manifest import ImageTable
from camid.dataset.records import ImageRecord
from camid.dataset.splits.grouping import device_models
from camid.store.index import Grid, chunk_grids
from camid.store.store import Store


@dataclass(frozen=True, kw_only=True, eq=False)
class ChunkImages(Pool):
    """The images of one chunk that may be drawn, and where their strips are."""

    chunk: int
    rows: Sequence[int]
    """Of the images in the chunk's row groups."""
    positions: Grid
    """The row group of each position."""

    def image(self, row: int) -> ImageRecord:
        """Return the record of an image that may be drawn."""
        return self.images[self.rows.index(row)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Images that may be drawn, by device and chunk."""

    images: ImageTable
    chunks: Mapping[str, Sequence[ChunkImages]]

    @property
    def num_images(self) -> int:
        """Images that may be drawn."""
        return len(self.images)

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """Devices of the images, in order."""
        return tuple(self.chunks)

    def quartet(
        self,
        rng: np.random.Generator,
        *,
        num_images: NumImages,
        same_model: float | Literal["any"],
        is_placed: bool,
    ) -> Quartet[ChunkImages]:
        """Return a quartet, as :meth:`BalancedSampler.quartet`, each side of one chunk.

        Raises
        ------
        ValueError
            If the candidates give no quartet.
        """
        quartet = self._sampler.quartet(
            rng,
            num_images=num_images,
            same_model=same_model,
            is_placed=is_placed,
            are_apart=True,  # so that what is read serves more pairs
        )
        if quartet is None:
            first, second = num_images
            raise ValueError(
                f"{self.num_images} images of {len(self.devices)} devices give no pairs of "
                f"{first}+{second} images: two devices are needed with as many, each side's of one "
                "chunk; lower pairs.num_images"
            )
        return quartet

    @cached_property
    def _sampler(self) -> BalancedSampler[ChunkImages]:
        return BalancedSampler(pools=self.chunks, models=device_models(self.images))


class _Chunks(Mapping[str, Sequence[ChunkImages]]):
    """The chunks of each device, made on access; the latest are cached."""

    def __init__(self, store: Store, images: ImageTable) -> None:
        self._images = store.images()
        self._grids = chunk_grids(store.index)
        groups = self._images.groups("device", "chunk")
        self._keys, order, ends = groups
        is_candidate = self._images.among(images)[order]
        self._order = order[is_candidate]
        self._rows = groups.places()[1][self._order].astype(np.int32)
        self._ends = np.concatenate([[0], np.cumsum(is_candidate)])[ends]
        counts = np.diff(self._ends)
        self._groups: dict[str, list[int]] = defaultdict(list)
        for group in np.flatnonzero(counts).tolist():
            self._groups[self._keys[group][0]].append(group)
        self._cached = lru_cache(MAX_HELD)(self._device)

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __getitem__(self, device: str) -> Sequence[ChunkImages]:
        return self._cached(device)

    def _device(self, device: str) -> Sequence[ChunkImages]:
        if device not in self._groups:
            raise KeyError(device)
        return tuple(map(self._chunk, self._groups[device]))

    def _chunk(self, group: int) -> ChunkImages:
        device, chunk = self._keys[group]
        part = slice(self._ends[group], self._ends[group + 1])
        images = self._images.taken(self._order[part])
        first = images[0]
        return ChunkImages(
            device=device,
            chunk=chunk,
            kind=first.kind,
            shape=(first.width, first.height, first.angle),
            rows=tuple(self._rows[part].tolist()),
            images=images,
            positions=self._grids[device, chunk],
        )


def candidates(store: Store, images: Iterable[ImageRecord]) -> Candidates:
    """Return the candidates among ``images``, records of the store's such as a split's part.

    Only one of several copies of an image (equal sha256) can be drawn.
    """
    table = ImageTable.of(images).without_copies()
    return Candidates(images=table, chunks=_Chunks(store, table))
