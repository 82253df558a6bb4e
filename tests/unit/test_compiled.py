import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MODULE = """
from camid.compiled import compiled

@compiled
def total(row):
    found = 0.0
    for value in row:
        found += value
    return found
"""

PROGRAM = """
import numpy as np, sums
assert sums.total(np.ones(9)) == 9
print(sum(sums.total.stats.cache_hits.values()))
"""


def cache_hits(place, **environment):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=place,
        env={**os.environ, "PYTHONPATH": f"{place}:{ROOT}", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_one_process_compiles_and_the_next_loads(tmp_path):
    (tmp_path / "sums.py").write_text(MODULE)
    assert cache_hits(tmp_path) == 0
    assert cache_hits(tmp_path) == 1


def test_where_nothing_can_be_kept_every_process_compiles(tmp_path):
    (tmp_path / "sums.py").write_text(MODULE)
    (tmp_path / "__pycache__").write_text("a file where the folder would be")
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache"}
    assert cache_hits(tmp_path, **nowhere) == 0
    assert cache_hits(tmp_path, **nowhere) == 0
