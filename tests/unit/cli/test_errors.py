"""A full disk is a sentence with a place, also where the system names none."""

import errno
import tempfile

import click
import pytest
from click.testing import CliRunner

from camid.cli.errors import one_sentence


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("name", [None, "/data/a.parquet"])
def test_a_full_disk_is_told_with_a_place_and_no_number(number, name):
    @click.command()
    def fails():
        with one_sentence():
            raise OSError(number, "No space left on device", name)

    done = CliRunner().invoke(fails)
    assert done.exit_code == 2
    place = name or f"{tempfile.gettempdir()} or where the output is"
    assert done.stderr == f"camid: {place}: no space left on device; make room and run again\n"
