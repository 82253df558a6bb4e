"""A small store and lists of it, of the devices and settings that each module names."""

import pytest

from camid.comparison.draw_list import drawn_list, gallery_list
from camid.config import Enrolment, Strips
from camid.dataset.splits import enrolled
from tests.unit.stores import SIZE, small_store

STRIPS = Strips(size=SIZE)


@pytest.fixture(scope="module")
def store(request, tmp_path_factory):
    return small_store(str(tmp_path_factory.mktemp("store")), request.module.DEVICES)


@pytest.fixture(scope="module")
def listed(request, store):
    settings = request.module.SETTINGS
    return drawn_list(store.images(), settings=settings, strips=STRIPS, seed=3)


@pytest.fixture(scope="module")
def gallery(store):
    found = enrolled(store.images(), settings=Enrolment(num_background=4), seed=1)
    return gallery_list(found, strips=STRIPS, seed=1)
