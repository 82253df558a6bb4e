"""Where Ray has GPUs, networks are asked there, and everything else keeps to processors.

Ray only counts the GPU of these tests, as it does where TensorFlow cannot use one.
"""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from camid.comparison.networks.files import network_bytes
from camid.comparison.networks.siamese import siamese
from camid.config import Siamese
from camid.dataset.splits import named_split
from camid.io.folder import Folder
from camid.io.output_layout import EVIDENCE
from camid.runtime.run_folder.output import Output
from camid.runtime.scoring.collect import gather
from camid.runtime.scoring.prepare_list import prepared_list
from camid.store.store import open_store

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("ray_here")]

ON_A_GPU = """
import sys
import numpy as np
import pyarrow as pa
import ray
from camid.comparison.comparison_list import read_list
from camid.io.folder import Folder
from camid.io.output_layout import LIST
from camid.runtime.cluster.map_tasks import streamed
from camid.runtime.cluster.session import session
from camid.runtime.scoring.collect import gather
from camid.store.store import open_store

def gpus(table):
    found = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    return pa.table({"gpus": [",".join(found)]})

def seen(**options):
    tables = [pa.table({"number": [number]}) for number in range(2)]
    told = streamed(tables, gpus, description="", unit="", **options)
    return {table["gpus"][0].as_py() for table in told}

store, folder, network = sys.argv[1:]
ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False)
with session():
    assert seen(takes_gpu=True) == {"0"}
    assert seen() == {""}
    output = Folder(folder)
    options = {"networks": [network], "num_crops": (1,)}
    listed = read_list(output, LIST)
    evidence, _ = gather(open_store(store), listed, output, ["lukas", "pairnet"], **options)
np.savez(f"{folder}/sums.npz", **evidence.sums)
"""


def test_networks_have_a_pass_of_their_own_on_gpus_and_the_same_evidence(made, tmp_path):
    config = made.config("comparisons.num_pairs=12", "comparisons.num_crops=[1]")
    config = replace(config, paths=replace(config.paths, out=str(tmp_path)))
    store, output = open_store(config.paths.store), Output(Folder(str(tmp_path)))
    split = named_split(config.split, store.images(), settings=config.splits, seed=config.seed)
    listed = prepared_list(config, output, split=split)
    network = str(tmp_path / "small.keras")
    size = listed.crop_size or 256
    output.folder.write(
        "small.keras", network_bytes(siamese(Siamese(extractor="small"), size=size // 2))
    )
    usual, _ = gather(
        store, listed, output.folder, ["lukas", "pairnet"], networks=[network], num_crops=(1,)
    )
    usual_parts = {path.name for path in (tmp_path / EVIDENCE).iterdir()}
    command = [sys.executable, "-c", ON_A_GPU, config.paths.store, str(tmp_path), network]
    subprocess.run(command, check=True)
    parts = {path.name for path in (tmp_path / EVIDENCE).iterdir()}
    assert {name.rpartition("-")[0] for name in usual_parts} == {"strip-with-networks"}
    assert {name.rpartition("-")[0] for name in parts - usual_parts} == {"strip", "network"}
    with np.load(tmp_path / "sums.npz") as found:
        assert set(found) == set(usual.sums) == {"lukas", "pairnet", "small"}
        np.testing.assert_array_equal(found["lukas"], usual.sums["lukas"])
        np.testing.assert_allclose(found["small"], usual.sums["small"], rtol=1e-4)
        scale = np.abs(usual.sums["pairnet"]).max(axis=(0, 1))
        np.testing.assert_allclose(
            found["pairnet"] / scale, usual.sums["pairnet"] / scale, atol=2e-3
        )
