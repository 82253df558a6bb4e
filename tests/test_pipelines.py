"""The commands a user types, as processes of their own."""

import json
import re
import shutil
from pathlib import Path

import pytest

from camid.config import load_config
from camid.runtime.pipelines.check_settings import check_settings
from camid.training.pair_task import PairTask
from camid.training.pairnet_task import StackTask
from camid.training.patch_task import PatchTask
from camid.training.search_space import search_space
from tests.commands import ROOT, SMALL, camid, camid_here, pipeline, pipeline_here, run
from tests.runtime.conftest import contents


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def stored(home) -> Path:
    """The store of 104 photographs that are simulated first."""
    done = pipeline("preprocess", *SMALL, home=home)
    assert done.returncode == 0, done.stderr
    return home / "store"


def test_simulate_writes_photographs_of_known_cameras(home, tmp_path):
    small = ("num_devices=2", "num_background=2", "num_foreground=1", "sizes=[[320,320]]")
    sizes = [f"--set={setting}" for setting in small]
    written = camid("simulate", str(tmp_path / "phones"), *sizes, home=home)
    assert (written.returncode, "6 photographs written now" in written.stdout) == (0, True)
    assert len(list((tmp_path / "phones").glob("Eurecom_10[01]_pic[BF]G_00[12].jpg"))) == 6
    refused = camid_here("simulate", str(tmp_path / "phones"), "--set=num_device=2", home=home)
    assert refused.returncode == 2
    assert "did you mean 'simulate.num_devices'?" in refused.stderr


def test_a_store_tells_what_it_holds_and_is_whole(stored, home):
    store = str(stored)
    info = camid("store", "info", store, home=home)
    assert "104 ok" in info.stdout
    assert "rejected" not in info.stdout
    assert "filter=lukas" in info.stdout
    verified = camid_here("store", "verify", store, home=home)
    assert (verified.returncode, verified.stdout.strip()) == (0, f"{store}: 16 chunks, no problems")


def facts(printed: str) -> dict[str, str]:
    """Return a table of names and values as it was printed."""
    return dict(re.findall(r"^(\S[\w -]*?)  +(\S.*?) *$", printed, re.MULTILINE))


def test_a_plan_tells_before_what_the_store_tells_after(stored, home):
    planned = camid_here("plan", str(home / "simulated"), home=home)
    assert planned.returncode == 0, planned.stderr
    due = facts(planned.stdout)
    made = facts(camid_here("store", "info", str(stored), home=home).stdout)
    assert due["photographs"].startswith("104 of 104 files")
    assert [due[name] for name in ("devices", "strips", "chunks")] == [
        made[name] for name in ("devices", "strips", "chunks")
    ]
    assert {"core-hours", "memory", "store", "a megapixel"} <= set(due)


def test_a_plan_of_photographs_that_are_not_there_yet(home):
    planned = camid_here("plan", "--images", "9700", "--size", "3840x2160", home=home)
    assert facts(planned.stdout)["strips"] == "1,164,000"
    for options, words in (
        ([], "expected DATA or --images"),
        (["--images", "1", "--size", "big"], "expected --size WIDTHxHEIGHT such as 4000x3000"),
        ([str(home / "nowhere")], "no such folder or table"),
    ):
        refused = camid_here("plan", *options, home=home)
        assert (refused.returncode, words in refused.stderr) == (2, True), refused.stderr


def test_verify_names_what_is_damaged_and_repair_makes_it_good(stored, home, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(stored, store)
    before = contents(store)
    chunk = store / "device=101/chunk-00001.parquet"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    found = camid_here("store", "verify", str(store), "--sources", home=home)
    assert found.returncode == 1
    assert "device=101/chunk-00001.parquet: not a whole chunk" in found.stderr
    assert f"{store}: 16 chunks, 1 problem; no photographs gone or changed" in found.stdout
    assert "the same command with --repair makes anew" in found.stdout
    mended = camid_here("store", "verify", str(store), "--repair", home=home)
    assert mended.returncode == 0, mended.stderr
    assert f"{store}: 1 chunks made again; the digest is as before" in mended.stdout
    assert contents(store) == before


ABSENT = ("--set", "evaluate.networks=[/absent.keras]", "--out", "runs/absent")


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("preprocess", ["--data", "nowhere", "--store", "new"], "nowhere: no such folder or table"),
        ("preprocess", ["--data", ".", "--store", "new"], "lies among the photographs"),
        ("preprocess", ["--set", "strips.sise=2"], "no field 'strips.sise'; did you mean"),
        ("preprocess", ["--config", "none.yaml"], "none.yaml: cannot read the configuration"),
        ("preprocess", ["--set", "residual.levels=9"], "allows at most 5 levels of 'db4'"),
        ("baselines", ["--store", "nowhere"], "no strip store there"),
        ("train_siamese", ["--set", "pairs.crop_size=48"], "is judged on crops that its own fill"),
        ("train_pairnet", ["--set", "pairs.crop_size=100"], "expected a multiple of 8 px"),
        ("evaluate", ["--set", "evaluate.networks=[best]"], "a file that ends in .keras"),
        ("tune_cnn", ["--set", "search.trails=3"], "did you mean 'search.num_trials'?"),
        (
            "train_siamese",
            [*ABSENT, "--store", "store"],
            "/absent.keras: no such network",
        ),
        ("baselines", ["--split", "vision", "--store", "store"], "no split 'vision'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(stored, home, name, options, sentence):
    refused = pipeline_here(name, *options, home=home)
    assert refused.returncode == 2, refused.stderr
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1, refused.stderr


def test_a_folder_with_nothing_usable_is_one_sentence_of_a_process_and_its_exit_code(
    home, tmp_path
):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("no photographs here")
    options = ["--data", str(tmp_path / "data"), "--store", str(tmp_path / "store")]
    refused = pipeline("preprocess", *options, home=home)
    assert refused.returncode == 2
    assert "none of 1 files can be used" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_ray_job_without_a_home_stops_before_work(tmp_path):
    folder = tmp_path / "runtime_resources/working_dir_files/_ray_pkg_1"
    folder.mkdir(parents=True)
    refused = run(str(ROOT / "pipelines/baselines.py"), home=folder, CAMID_HOME="")
    assert refused.returncode == 2
    assert "set CAMID_HOME to a lasting path or address" in refused.stderr


def test_a_cluster_that_does_not_answer_is_one_sentence(home):
    refused = pipeline("preprocess", *SMALL, home=home, RAY_ADDRESS="127.0.0.1:1")
    assert refused.returncode == 2
    assert "no Ray cluster answers at RAY_ADDRESS='127.0.0.1:1'" in refused.stderr


@pytest.mark.parametrize("name", sorted(path.stem for path in ROOT.glob("pipelines/[!_]*.py")))
def test_every_pipeline_explains_itself(name, home):
    shown = pipeline_here(name, "--help", home=home).stdout
    options = ("--data", "--store", "--out", "--config", "--split", "--fresh", "--resume", "--set")
    if name == "compare":  # which reads what others have made
        options = ("--than", "--out", "--set", "RUNS")
    for option in options:
        assert option in shown


@pytest.mark.parametrize("which", ["siamese", "cnn"])
@pytest.mark.parametrize("size", ["", "-smoke"])
def test_every_file_of_a_search_is_one(which, size):
    file = ROOT / f"tune_configs/{which}{size}.yaml"
    kind = {"siamese": PairTask, "cnn": PatchTask}[which]
    config = load_config(str(file))
    assert search_space(config, searched=kind.searched)
    assert config.search.grace_steps <= config.training.num_steps
    command, cost, result = file.read_text().splitlines()[:3]
    assert command == f"# python pipelines/tune_{which}.py" + (
        f" tune_configs/{file.name}" if size else ""
    )
    assert cost.startswith("# Cost: ")
    assert result.startswith("# Result: ")


@pytest.mark.parametrize("size", ["", "-smoke"])
def test_every_file_of_a_pair_network_is_one_that_can_be_trained(size):
    file = ROOT / f"tune_configs/pairnet{size}.yaml"
    config = load_config(str(file))
    check_settings(config, config.evaluate, trained=StackTask)
    assert config.split == "seeded"
    command, what = file.read_text().splitlines()[:2]
    assert command == f"# python pipelines/train_pairnet.py tune_configs/{file.name}"
    assert what.startswith("# What: ")


@pytest.mark.soak
def test_real_photographs_go_through(real_photographs, tmp_path, home):
    """Four devices that a plain test recognises; a symbolic link a device, so nothing is copied."""
    for device in ("canon_600d_01", "galaxy_s3_01", "nikon_d200_01", "nikon_d200_02"):
        (tmp_path / "photographs").mkdir(exist_ok=True)
        folder = tmp_path / "photographs" / device
        folder.mkdir()
        for photograph in sorted((real_photographs / device).iterdir())[:10]:
            (folder / photograph.name).symlink_to(photograph)
    out = tmp_path / "out"
    places = ["--store", str(tmp_path / "store"), "--out", str(out)]
    data = str(tmp_path / "photographs")
    done = pipeline_here("baselines", "--data", data, *places, home=home)
    assert done.returncode == 0, done.stderr
    rows = json.loads((out / "results.json").read_text())
    (lukas,) = [r for r in rows if (r["method"], r["negatives"]) == ("lukas", "all")]
    assert lukas["rank1"] > 0.9
    assert lukas["auc"] > 0.95
    assert any(row["negatives"] == "same-model" for row in rows)
