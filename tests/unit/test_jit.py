import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MODULE = """
from camid.jit import compiled

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

JOB = """
from pathlib import Path
from camid.store.make_chunk import make_chunk
from camid.config import Config, Simulate
from camid.io.folder import Folder
from camid.store.chunk_plan import Chunk
from camid.dataset.records import ImageRecord
from camid.dataset.simulate import phones
from tempfile import TemporaryDirectory

with TemporaryDirectory() as place:
    photographs = Folder(place)
    for phone in phones(Simulate(num_devices=6, sizes=((336, 288),)), seed=3):
        for kind in ("background", "foreground"):
            photographs.write(f"{kind}.jpg", phone.photograph(kind, 4))
            image = ImageRecord(
                image_id=kind, path=photographs.address(f"{kind}.jpg"), width=336, height=288
            )
            chunk = Chunk(device="a", number=0, images=(image,))
            (image,) = make_chunk(chunk, store=photographs, config=Config()).statuses
            assert image.status == "ok", image
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


@pytest.mark.soak  # it compiles all loops anew
def test_after_camid_compile_no_job_compiles(tmp_path):
    """Numba keeps a file for every function and types: a job that compiles leaves another."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    kept = []
    for program in ("from camid.cli import main; main(['compile'], standalone_mode=False)", JOB):
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, check=True)
        kept.append({str(path) for path in tmp_path.rglob("*.nbc")})
    assert kept[0] == kept[1] != set()
