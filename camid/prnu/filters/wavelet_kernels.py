"""A wavelet filter's pyramid in one pass over the rows, compiled, in float32.

Rows stream through rings of all levels: a row is transformed, its details are shrunk as soon as the
four rows after it are there, and a row is restored when every level has the rows it is made of.
About a hundred rows of each plane are held, however high the image. Several planes lie side by side
in one row, so that small strips fill the processor's vectors as whole images do.

Level ``n`` halves plane ``n`` into plane ``n + 1``; plane 0 is the image's. All compiled loops are
in this module, as the cache of one file does not see changes of another.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from camid.jit import compiled
from camid.prnu.filters.planes import Images

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Rings = tuple[Floats, ...]

REACH = 4
"""Coefficients that the largest window (9×9) reaches to each side."""
NUM_RAW = 2 * REACH + 1
"""Rows of details around the row to be shrunk; their ring has one more, which stays zero."""
TERMS = 8
"""Terms that one loop adds up: as many rows as a compiler keeps apart."""
BLOCK = 4096
"""Samples of a row that are processed at a time, so that samples read again are in the cache."""
SPAN = 4096
"""Samples in a row of planes side by side, where there are as many images."""


def shrunk_details(
    images: Images, *, filters: tuple[Floats, ...], levels: int, variance: float
) -> Floats:
    """Return images ``(image, height, width, channel)`` rebuilt from their shrunk details alone.

    A plane is transformed over ``levels`` with symmetric extension, by ``filters`` of one even
    length: low and high analysis, low and high synthesis, as PyWavelets orders them. A coefficient
    of a detail band is multiplied by ``variance / max(m, variance)``, where m is the least mean
    energy in windows of 3, 5, 7 and 9 coefficients around it, zeros outside. The approximation is
    taken as zero.
    """
    count, height, width, channels = images.shape
    taps = len(filters[0])
    group = min(count, max(1, SPAN // (width * channels)))
    sizes = [(height, width)]
    for _ in range(levels):
        sizes.append(((sizes[-1][0] + taps - 1) // 2, (sizes[-1][1] + taps - 1) // 2))
    gap = max(REACH, taps // 2 - 1)
    strides = [-(-(size[1] + gap) // TERMS) * TERMS for size in sizes]
    spans = [group * channels * stride for stride in strides]
    kept = zip(_num_kept(taps, levels), sizes[1:], spans[1:], strict=True)
    rings: list[Rings] = [
        tuple(np.zeros((taps, span), np.float32) for span in spans),
        tuple(np.zeros((3, NUM_RAW + 1, span + 2 * REACH), np.float32) for span in spans[1:]),
        tuple(np.zeros((3, min(rows, size[0]), span), np.float32) for rows, size, span in kept),
        tuple(np.zeros((taps, span), np.float32) for span in spans[1:]),
    ]
    lines = np.zeros((4, max(spans[0], 2 * spans[1]) + taps + TERMS), np.float32)
    sums = np.zeros((4, BLOCK + 2 * REACH), np.float32)
    noise = np.empty(images.shape, np.float32)
    for first in range(0, count, group):
        batch = slice(first, first + group)
        _stream(
            *(images[batch], noise[batch], np.array(sizes), np.array(strides), taps),
            *(_weights(filters), np.float32(variance), *rings, lines, sums),
        )
    return noise


def _weights(filters: tuple[Floats, ...]) -> Floats:
    """Return weights ``(step, part, term)``: of rows, of samples along a row, and of the way back.

    Terms are in the order in which :func:`_stacked`, :func:`_halve` and :func:`_double` take them.
    """
    taps = len(filters[0])
    weights = np.zeros((3, 2, -(-taps // TERMS) * TERMS), np.float32)
    weights[0, :, :taps] = filters[:2]
    weights[1, :, :taps] = np.array(filters[:2])[:, ::-1]
    for odd in (0, 1):
        backwards = slice(taps - 2 + odd, None, -2)
        weights[2, odd, :taps] = np.transpose([f[backwards] for f in filters[2:]]).ravel()
    return weights


def _num_kept(taps: int, levels: int) -> list[int]:
    """Return how many rows of shrunk details each level holds until they are used.

    A row of plane n is made of the details and the restored plane n + 1 up to ``taps / 2 - 1`` rows
    below its own, and restored rows of that plane trail transformed rows by ``lag``.
    """
    counts = []
    lag = 0
    for _ in range(levels):
        ahead = taps // 2 - 1 + max(REACH, lag)
        counts.append(ahead + taps + REACH + 2)  # the last rows of planes complete many at once
        lag = 2 * ahead + 1
    return counts[::-1]


@compiled
def _stream(
    images: Images,
    noise: Floats,
    sizes: Integers,
    strides: Integers,
    taps: int,
    weights: Floats,
    variance: np.float32,
    planes: Rings,
    raw: Rings,
    kept: Rings,
    restored: Rings,
    lines: Floats,
    sums: Floats,
) -> None:
    """Filter the planes of ``images`` into ``noise``.

    A level's rings: the last rows of its ``planes``, ``raw`` details around the row to be shrunk,
    details ``kept`` until they are used, ``restored`` rows of the plane below.
    """
    levels = len(kept)
    num_planes = images.shape[0] * images.shape[3]
    num_transformed = np.zeros(levels, np.int64)
    num_restored = np.zeros(levels, np.int64)
    needed = np.zeros(levels, np.int64)
    num_loaded = 0
    for row in range(images.shape[1]):
        needed[0] = row
        for level in range(1, levels):
            needed[level] = needed[level - 1] // 2 + taps // 2 - 1
        while not _ready(needed, num_transformed, sizes, taps):
            while num_loaded <= _last_row(num_transformed[0], sizes[0, 0], taps):
                _load(images, num_loaded, planes[0][num_loaded % taps], strides[0])
                num_loaded += 1
            level = 0
            while level >= 0:
                k, below = num_transformed[level], level + 1
                span = num_planes * strides[below]
                _transform(
                    *(planes[level], k, sizes[level], strides[level], num_planes, taps, weights),
                    *(planes[below][k % taps], raw[level], strides[below], lines),
                )
                _shrink(raw[level], kept[level], k, sizes[below, 0], span, variance, sums)
                num_transformed[level] = k + 1
                level = _deepest_due(below, num_transformed, sizes, taps)
        for level in range(levels - 1, -1, -1):
            while num_restored[level] <= needed[level]:
                r, span = num_restored[level], num_planes * strides[level + 1]
                _restore(restored[level], kept[level], r, weights[2], taps, lines, span)
                if level == 0:
                    _store(lines[2], 2 * strides[1], noise, r)
                else:
                    target = restored[level - 1][r % taps]
                    _spread(
                        *(lines[2], 2 * strides[level + 1]),
                        *(target, strides[level], sizes[level, 1]),
                    )
                num_restored[level] = r + 1


@compiled
def _ready(needed: Integers, num_transformed: Integers, sizes: Integers, taps: int) -> bool:
    """Return whether each level has the shrunk details that its ``needed`` row is made of."""
    for level in range(len(needed)):
        num_shrunk = num_transformed[level]
        if num_shrunk < sizes[level + 1, 0]:
            num_shrunk -= REACH
        if num_shrunk <= needed[level] // 2 + taps // 2 - 1:
            return False
    return True


@compiled
def _deepest_due(level: int, num_transformed: Integers, sizes: Integers, taps: int) -> int:
    """Return the deepest level, of ``level`` to 1, that has the rows for its next row, or −1."""
    level = min(level, len(num_transformed) - 1)
    while level > 0:
        k = num_transformed[level]
        last = _last_row(k, sizes[level, 0], taps)
        if k < sizes[level + 1, 0] and num_transformed[level - 1] > last:
            return level
        level -= 1
    return -1


@compiled
def _last_row(k: int, height: int, taps: int) -> int:
    """Return the last row that transformed row ``k`` is made of, by symmetric extension."""
    return min(max(2 * k + 1, taps - 3), height - 1)


@compiled
def _load(images: Images, r: int, target: Floats, stride: int) -> None:
    """Lay row ``r`` of all planes side by side."""
    num_images, _, width, channels = images.shape
    for image in range(num_images):
        pixels, start = images[image, r], image * channels * stride
        if channels == 3:
            a, b, c = target[start:], target[start + stride :], target[start + 2 * stride :]
            for x in range(width):
                a[x], b[x], c[x] = pixels[x, 0], pixels[x, 1], pixels[x, 2]
        else:
            for channel in range(channels):
                plane = target[start + channel * stride :]
                for x in range(width):
                    plane[x] = pixels[x, channel]


@compiled
def _store(line: Floats, stride: int, noise: Floats, r: int) -> None:
    """Write planes side by side as row ``r`` of the images."""
    num_images, _, width, channels = noise.shape
    for image in range(num_images):
        pixels, start = noise[image, r], image * channels * stride
        if channels == 3:
            a, b, c = line[start:], line[start + stride :], line[start + 2 * stride :]
            for x in range(width):
                pixels[x, 0], pixels[x, 1], pixels[x, 2] = a[x], b[x], c[x]
        else:
            for channel in range(channels):
                plane = line[start + channel * stride :]
                for x in range(width):
                    pixels[x, channel] = plane[x]


@compiled
def _spread(line: Floats, stride: int, target: Floats, target_stride: int, width: int) -> None:
    """Write planes side by side as a row of the next plane up."""
    for plane in range(len(target) // target_stride):
        source, out = line[plane * stride :], target[plane * target_stride :]
        for x in range(width):
            out[x] = source[x]


@compiled
def _transform(
    plane: Floats,
    k: int,
    size: Integers,
    stride: int,
    num_planes: int,
    taps: int,
    weights: Floats,
    low: Floats,
    raw: Floats,
    low_stride: int,
    lines: Floats,
) -> None:
    """Make row ``k`` of the next plane and of the three bands of details."""
    height, width = size
    index = np.zeros((2, weights.shape[2] // 2), np.int64)
    for tap in range(taps):
        r = 2 * k + 1 - tap
        if r < 0:
            r = -1 - r
        elif r >= height:
            r = 2 * height - 1 - r
        index[tap % 2, tap // 2] = r % taps
    span = num_planes * stride
    for x in range(0, span, BLOCK):
        for part in range(2):
            count = min(BLOCK, span - x)
            _stacked(lines[part, x:], weights[0, part], plane, plane, index, x, count)
    slot, count = k % NUM_RAW, num_planes * low_stride
    half_width = (width + taps - 1) // 2
    for part in range(2):
        _part(lines[part], stride, width, lines[2], lines[3], low_stride, num_planes, taps)
        out = raw[1, slot, REACH:] if part else low
        _halve(out, raw[2 * part, slot, REACH:], weights[1], taps, lines[2], lines[3], count)
    for band in range(3):
        for number in range(num_planes):
            start = REACH + number * low_stride
            raw[band, slot, start + half_width : start + low_stride] = 0


@compiled
def _part(
    line: Floats,
    stride: int,
    width: int,
    even: Floats,
    odd: Floats,
    low_stride: int,
    num_planes: int,
    taps: int,
) -> None:
    """Part each plane's symmetrically extended row into its even and odd samples."""
    lead, pairs = taps // 2 - 1, width // 2
    count = (width + taps - 1) // 2 + lead
    for plane in range(num_planes):
        source = line[plane * stride : plane * stride + width]
        start = plane * low_stride
        evens, odds = even[start + lead : start + count], odd[start + lead : start + count]
        for i in range(pairs):
            evens[i] = source[2 * i]
            odds[i] = source[2 * i + 1]
        for i in range(lead):
            even[start + i] = source[2 * (lead - i) - 1]
            odd[start + i] = source[2 * (lead - i) - 2]
        for i in range(pairs, count - lead):
            x = 2 * i
            evens[i] = source[x] if x < width else source[2 * width - 1 - x]
            odds[i] = source[2 * width - 2 - x]


@compiled
def _restore(
    low: Floats, kept: Floats, r: int, weights: Floats, taps: int, lines: Floats, count: int
) -> None:
    """Make row ``r`` of all planes side by side in line 2, each twice as wide as in ``low``."""
    index = np.zeros((2, weights.shape[1] // 2), np.int64)
    for part in range(2):
        lows = kept[0] if part else low
        for i in range(taps // 2):
            index[0, i] = (r // 2 + i) % len(lows)
            index[1, i] = (r // 2 + i) % kept.shape[1]
        for x in range(0, count, BLOCK):
            size = min(BLOCK, count - x)
            _stacked(lines[part, x:], weights[r % 2], lows, kept[1 + part], index, x, size)
    _double(lines[2], weights, taps, lines[0], lines[1], count)


@compiled
def _stacked(
    out: Floats, weights: Floats, a: Floats, b: Floats, index: Integers, x: int, count: int
) -> None:
    """Add up rows of ``a`` and ``b`` by turns, from sample ``x`` on."""
    for term in range(0, len(weights), TERMS):
        i, j = index[0, term // 2 :], index[1, term // 2 :]
        rows = (
            *(a[i[0], x:], b[j[0], x:], a[i[1], x:], b[j[1], x:]),
            *(a[i[2], x:], b[j[2], x:], a[i[3], x:], b[j[3], x:]),
        )
        _add_up(out, weights[term:], rows, count, term > 0)


@compiled
def _halve(
    low: Floats, high: Floats, weights: Floats, taps: int, even: Floats, odd: Floats, count: int
) -> None:
    """Make both halves of a row from its even and odd samples."""
    if taps > TERMS:
        for k in range(count):
            low[k] = high[k] = 0
            for i in range(taps // 2):
                low[k] += weights[0, 2 * i] * even[k + i] + weights[0, 2 * i + 1] * odd[k + i]
                high[k] += weights[1, 2 * i] * even[k + i] + weights[1, 2 * i + 1] * odd[k + i]
        return
    a, b, c, d, e, f, g, h = _eight(weights[0])
    p, q, r, s, t, u, v, w = _eight(weights[1])
    for k in range(count):
        low[k] = (a * even[k] + b * odd[k] + c * even[k + 1] + d * odd[k + 1]) + (
            e * even[k + 2] + f * odd[k + 2] + g * even[k + 3] + h * odd[k + 3]
        )
        high[k] = (p * even[k] + q * odd[k] + r * even[k + 1] + s * odd[k + 1]) + (
            t * even[k + 2] + u * odd[k + 2] + v * even[k + 3] + w * odd[k + 3]
        )


@compiled
def _double(out: Floats, weights: Floats, taps: int, low: Floats, high: Floats, count: int) -> None:
    """Make a row of twice ``count`` samples from its two halves."""
    if taps > TERMS:
        for k in range(count):
            for odd in range(2):
                out[2 * k + odd] = 0
                for i in range(taps // 2):
                    out[2 * k + odd] += weights[odd, 2 * i] * low[k + i]
                    out[2 * k + odd] += weights[odd, 2 * i + 1] * high[k + i]
        return
    a, b, c, d, e, f, g, h = _eight(weights[0])
    p, q, r, s, t, u, v, w = _eight(weights[1])
    for k in range(count):
        out[2 * k] = (a * low[k] + b * high[k] + c * low[k + 1] + d * high[k + 1]) + (
            e * low[k + 2] + f * high[k + 2] + g * low[k + 3] + h * high[k + 3]
        )
        out[2 * k + 1] = (p * low[k] + q * high[k] + r * low[k + 1] + s * high[k + 1]) + (
            t * low[k + 2] + u * high[k + 2] + v * low[k + 3] + w * high[k + 3]
        )


@compiled
def _eight(row: Floats) -> tuple[np.float32, ...]:
    """Return the first eight values of a row."""
    return row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7]


@compiled
def _add_up(out: Floats, weights: Floats, rows: tuple[Any, ...], count: int, is_more: bool) -> None:
    """Set ``out`` to the weighted sum of eight rows, or add the sum to ``out`` if ``is_more``."""
    a, b, c, d, e, f, g, h = _eight(weights)
    p, q, r, s, t, u, v, w = rows
    if is_more:
        for x in range(count):
            out[x] += (a * p[x] + b * q[x] + c * r[x] + d * s[x]) + (
                e * t[x] + f * u[x] + g * v[x] + h * w[x]
            )
    else:
        for x in range(count):
            out[x] = (a * p[x] + b * q[x] + c * r[x] + d * s[x]) + (
                e * t[x] + f * u[x] + g * v[x] + h * w[x]
            )


@compiled
def _shrink(
    raw: Floats, kept: Floats, k: int, height: int, count: int, variance: np.float32, sums: Floats
) -> None:
    """Shrink the row of details that row ``k`` completes; the last row completes all."""
    slots = np.empty(NUM_RAW, np.int64)
    for r in range(max(k - REACH, 0), k + 1 if k == height - 1 else k - REACH + 1):
        for i in range(NUM_RAW):
            row = r + i - REACH
            slots[i] = row % NUM_RAW if 0 <= row < height else NUM_RAW
        for band in range(3):
            ring, target = raw[band], kept[band, r % kept.shape[1]]
            for x in range(0, count, BLOCK):
                inner = min(BLOCK, count - x)
                outer = inner + 2 * REACH
                middle = ring[slots[4], x:]
                _energies(sums[0], middle, ring[slots[3], x:], ring[slots[5], x:], outer)
                for i in range(1, REACH):
                    above, below = ring[slots[3 - i], x:], ring[slots[5 + i], x:]
                    _more_energies(sums[i], sums[i - 1], above, below, outer)
                rows = sums[0], sums[1], sums[2], sums[3]
                _weigh(target[x:], middle[REACH:], *rows, variance, inner)


@compiled
def _energies(out: Floats, a: Floats, b: Floats, c: Floats, count: int) -> None:
    """Add up the energies of three rows."""
    for x in range(count):
        out[x] = a[x] * a[x] + b[x] * b[x] + c[x] * c[x]


@compiled
def _more_energies(out: Floats, narrower: Floats, a: Floats, b: Floats, count: int) -> None:
    """Add the energies of two more rows."""
    for x in range(count):
        out[x] = narrower[x] + (a[x] * a[x] + b[x] * b[x])


@compiled
def _weigh(
    out: Floats,
    details: Floats,
    a: Floats,
    b: Floats,
    c: Floats,
    d: Floats,
    variance: np.float32,
    count: int,
) -> None:
    """Shrink details by the least mean energy around each, from the sums of 3, 5, 7 and 9 rows."""
    per_a, per_b = np.float32(1 / 9), np.float32(1 / 25)
    per_c, per_d = np.float32(1 / 49), np.float32(1 / 81)
    for x in range(count):
        three = a[x + 3] + a[x + 4] + a[x + 5]
        five = b[x + 2] + b[x + 3] + b[x + 4] + b[x + 5] + b[x + 6]
        seven = c[x + 1] + c[x + 2] + c[x + 3] + c[x + 4] + c[x + 5] + c[x + 6] + c[x + 7]
        nine = d[x] + d[x + 1] + d[x + 2] + d[x + 3] + d[x + 4]
        nine += d[x + 5] + d[x + 6] + d[x + 7] + d[x + 8]
        least = min(three * per_a, five * per_b)
        least = min(least, seven * per_c)
        least = min(least, nine * per_d)
        out[x] = details[x] * (variance / max(least, variance))
