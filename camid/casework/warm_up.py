"""Compiled loops of cases, each run once, so that the first question need not wait for them."""

import numpy as np

from camid.casework.alignment import query_plane
from camid.casework.binarized import Patterns
from camid.casework.search import identify
from camid.casework.verify_scores import STRIP, verdict


def compile_case_loops() -> None:
    """Compile the loops of casework by identifying and verifying a small image of noise."""
    image = np.random.default_rng(1).integers(0, 256, (STRIP, STRIP, 3)).astype(np.uint8)
    plane = query_plane(image)
    identify(plane, Patterns({"one": plane}))
    identify(plane[: STRIP // 2], Patterns({"one": plane}))
    verdict([image], [image])
