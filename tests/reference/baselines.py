"""The study's baselines as it describes them: whole images, one correlation at a time."""

import numpy as np
import pywt

from camid.comparison.located_list import located
from camid.prnu.luminance import grey
from camid.prnu.strips import assembled
from camid.store.strip_reader import RowGroups


class PlainBaselines:
    """Reference patterns and residuals of a gallery's sides, read whole from a store."""

    def __init__(self, listed, store):
        self.listed, self.store = listed, store
        self.located = located(listed, store)

    def residual(self, image):
        """Return an image's positions and its grey residual at each, grey levels."""
        strips = {}
        with RowGroups(self.store) as row_groups:
            device, chunk, _ = self.located.rows[image]
            for position in self.located.grids[device, chunk]:
                address, row = self.located.place(image, position)
                (strip,) = row_groups.strips([(address, [row])])
                strips[position] = grey(strip.samples * np.float32(row_groups.step))
        return strips

    def side(self, number):
        """Return the mean residual of a side's images, by position."""
        images = [self.residual(image) for image in self.listed.sides[number].images]
        return {p: np.mean([image[p] for image in images], axis=0) for p in images[0]}

    def scores(self, numbers, *, enhance=lambda plane: plane):
        """Return the correlation of the second side, enhanced, with the first, of comparisons."""
        found = []
        for number in numbers:
            pair = self.listed.comparisons[number]
            pattern, query = self.side(pair.first), self.side(pair.second)
            query = on_whole_image(query, enhance)
            shared = sorted(pattern.keys() & query.keys())
            found.append(correlation([pattern[p] for p in shared], [query[p] for p in shared]))
        return np.array(found)


def on_whole_image(strips, change):
    """Return strips by position after a change of the image that they are of."""
    where = sorted(strips)
    image = change(assembled(np.stack([strips[p] for p in where]), where))
    size = len(strips[where[0]])
    top, left = min(t for t, _ in where), min(x for _, x in where)
    return {(y, x): image[y - top : y - top + size, x - left : x - left + size] for y, x in where}


def correlation(first, second):
    """Return Pearson's correlation of all samples of two lists of strips."""
    a, b = (np.concatenate([s.ravel() for s in strips]).astype(float) for strips in (first, second))
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def enhancer_5(plane, *, alpha=7.0, wavelet="db4", levels=4):
    """Return a plane whose detail coefficients n are exp(−n² / 2α²), with n's sign; +1 at 0."""
    coarse, *details = pywt.wavedec2(plane.astype(float), wavelet, level=levels)
    changed = [
        tuple(np.where(n < 0, -1, 1) * np.exp(-(n**2) / (2 * alpha**2)) for n in bands)
        for bands in details
    ]
    height, width = plane.shape
    return pywt.waverec2([np.zeros_like(coarse), *changed], wavelet)[:height, :width]
