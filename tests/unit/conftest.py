"""Unit tests turn every warning into an error."""

import os
from contextlib import contextmanager

import pytest

TENSORS = "ignore:__array__ implementation:DeprecationWarning"
"""Of TensorFlow's tensors, which any test may make arrays of."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/unit/" in str(item.path):
            item.add_marker(pytest.mark.filterwarnings("error"))
            item.add_marker(pytest.mark.filterwarnings(TENSORS))


@contextmanager
def as_nobody():
    """Be a user without rights, where the tests run as root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
