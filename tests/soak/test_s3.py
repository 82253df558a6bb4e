"""Photographs, store and results on an object store: moto's S3 server as a process of its own."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
import numpy as np
import pyarrow.parquet as pq
import pytest
import ray

from camid.io.folder import Folder
from tests.commands import ROOT, SMALL, camid_here, environment, pipeline, pipeline_here
from tests.runtime.conftest import contents
from tests.soak.processes import family
from tests.soak.s3_server import KEY, TORN
from tests.soak.servers import free_port

pytestmark = pytest.mark.soak

BUCKET = "camid"
ODD = "dév 1+1 100%/a b%20"
FEW = ["--set", "simulate.num_devices=4", "--set", "simulate.num_models=2"]
OPTIONS = [*SMALL, *FEW, "--set", "chunks.max_images=2"]
DATA, STORE, OUT = (f"s3://{BUCKET}/{name}" for name in ("photo graphs", "a+b é/store", "out"))
NOWHERE = "s3://nowhere"
ANONYMOUS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
SECRET = "a-Secret-0f-Tests/+9"
DEAD = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """A client of a server with one bucket; the environment names it."""
    port = free_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MLFLOW_TRACKING_PASSWORD": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [sys.executable, str(Path(__file__).with_name("s3_server.py")), str(port)]
    with (tmp_path_factory.mktemp("server") / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.1)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        # Its workers know the server from the environment, as those of a cluster do.
        ray.init(address="local", num_cpus=2, log_to_driver=False, include_dashboard=False)
        yield client
        ray.shutdown()
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def local(s3, tmp_path_factory) -> Path:
    """Photographs, the store made of them and the baselines' results, all on this machine.

    The photographs lie in the bucket too; those of one device in a folder with an awkward name.
    """
    home = tmp_path_factory.mktemp("local")
    done = camid_here("simulate", str(home / "plain"), *simulated(), home=home)
    assert done.returncode == 0, done.stderr
    for photograph in (home / "plain").iterdir():
        name = f"{ODD}/é+ {photograph.name}" if "_101_" in photograph.name else photograph.name
        key = home / "photographs" / (f"{ODD}/{photograph.name}" if ODD in name else name)
        key.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photograph, key)
        inside = key.relative_to(home / "photographs")
        s3.put_object(Bucket=BUCKET, Key=f"photo graphs/{inside}", Body=photograph.read_bytes())
    places = ["--data", str(home / "photographs"), "--store", str(home / "store")]
    done = pipeline_here("baselines", *OPTIONS, *places, "--out", str(home / "out"), home=home)
    assert done.returncode == 0, done.stderr
    return home


def simulated() -> list[str]:
    """Return the options as `camid simulate` takes them."""
    return [f"--set={o.removeprefix('simulate.')}" for o in OPTIONS if o.startswith("simulate.")]


def objects(s3, address: str) -> dict[str, bytes]:
    """Return everything in the bucket below an address, by name."""
    prefix = (address.removeprefix(f"s3://{BUCKET}") + "/").lstrip("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    read = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    return {key.removeprefix(prefix): data for key, data in read.items() if not key.endswith("/")}


def chunks(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.startswith("device=")}


def preprocess(home: Path, store: str = STORE):
    return pipeline_here("preprocess", *OPTIONS, "--data", DATA, "--store", store, home=home)


@pytest.fixture(scope="module")
def stored(s3, local):
    """The store on S3, made of the photographs there, and what the run printed."""
    done = preprocess(local)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_store_on_s3_has_the_same_chunks_as_a_local_one(s3, local, stored):
    made = chunks(contents(local / "store"))
    assert len(made) == 4 * (10 + 4) / 2
    assert chunks(objects(s3, STORE)) == made


def test_a_second_run_finds_everything_finished(s3, local, stored):
    before = objects(s3, STORE)
    again = preprocess(local)
    assert (again.returncode, ", 0 made now;" in again.stdout) == (0, True), again.stderr
    assert objects(s3, STORE) == before


def test_a_photograph_that_changed_on_s3_is_noticed(s3, local, stored):
    store = f"s3://{BUCKET}/changed"
    assert preprocess(local, store).returncode == 0
    key = "photo graphs/Eurecom_102_picBG_001.jpg"
    data = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    middle = len(data) // 2
    other = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    s3.put_object(Bucket=BUCKET, Key=key, Body=other)
    try:
        again = preprocess(local, store)
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=data)
    assert "1 made now" in again.stdout
    assert "photographs changed since they were read before: 1 (Eurecom_102_" in again.stdout


@pytest.mark.parametrize("how", ["503", "500", "429", "half", "reset"])
def test_a_server_that_stumbles_costs_no_photograph(s3, local, stored, how):
    """More failures than the client's own three attempts stand for."""
    stumble(f"{how}=12")
    store = f"s3://{BUCKET}/stumbled {how}"
    done = preprocess(local, store)
    assert done.returncode == 0, done.stderr
    assert "rejected" not in done.stdout
    assert chunks(objects(s3, store)) == chunks(objects(s3, STORE))


@pytest.mark.parametrize("how", ["503", "403"])
def test_a_server_that_goes_on_failing_stops_the_run_and_rejects_nothing(
    s3, local, stored, how, monkeypatch
):
    monkeypatch.setattr("camid.io.filesystems.OVERLOADED_SECONDS", 1.0)
    store = f"s3://{BUCKET}/failed {how}"
    stumble(f"{how}=100000")
    try:
        failed = preprocess(local, store)
    finally:
        stumble(f"{how}=-100000")
    assert failed.returncode == 2, failed.stdout
    (said,) = [line for line in failed.stderr.splitlines() if line.startswith("camid: ")]
    assert "server" in said
    done = preprocess(local, store)
    assert done.returncode == 0, done.stderr
    assert chunks(objects(s3, store)) == chunks(objects(s3, STORE))


def stumble(how: str) -> None:
    request = Request(f"{os.environ['AWS_ENDPOINT_URL']}/stumble?{how}", method="PUT")
    with urlopen(request) as answer:
        assert answer.status == 200


def test_results_on_s3_are_the_local_ones(s3, local, stored):
    done = pipeline_here("baselines", *OPTIONS, "--store", STORE, "--out", OUT, home=local)
    assert done.returncode == 0, done.stderr
    rows = json.loads(objects(s3, OUT)["results.json"])
    expected = json.loads((local / "out/results.json").read_text())
    assert rows == expected
    assert {"report.html", "patterns/device=101.parquet"} <= set(objects(s3, OUT))
    again = pipeline_here("baselines", *OPTIONS, "--store", STORE, "--out", OUT, home=local)
    assert "finished:" in again.stderr


def test_nothing_that_a_run_leaves_or_says_holds_a_password(s3, local, stored):
    """Neither on the store nor here, where MLflow's files are, nor in what is said of errors."""
    wrong = [("s3://name:{}@{}/x", {}), ("s3://{}/x?secret_key={}", {}), ("s3://{}/x", DEAD)]
    said = []
    for number, (data, variables) in enumerate(wrong):
        address = data.format(*((SECRET, BUCKET) if "@" in data else (BUCKET, SECRET)))
        given = ["--data", address, "--out", str(local / f"wrong {number}")]
        done = pipeline_here("baselines", *OPTIONS, *given, home=local, **variables)
        assert done.returncode == 2, done.stdout
        said.append(done.stdout + done.stderr)
    uri = {"MLFLOW_TRACKING_URI": f"http://me:{SECRET}@127.0.0.1:1"}
    given = ["--store", STORE, "--out", f"{OUT}-told"]
    done = pipeline_here("baselines", *OPTIONS, *given, home=local, **uri)
    assert done.returncode == 2, done.stdout
    said.append(done.stdout + done.stderr)
    left = objects(s3, f"s3://{BUCKET}") | contents(local)
    assert len(left) > 100
    assert [name for name, data in left.items() if SECRET.encode() in data] == []
    assert not any(SECRET in words for words in said)


def test_an_evaluation_on_s3_has_the_local_scores(s3, local, stored):
    """One method reads intensity too; what was gathered is gone from the output when it is done."""
    methods = ["--set", "evaluate.methods=[lukas, likelihood]", "--set", "comparisons.num_pairs=60"]
    drawn = [*OPTIONS, *methods, "--set", "comparisons.num_images=[2,2]"]
    scores = []
    for store, out in ((STORE, f"{OUT}-list"), (str(local / "store"), str(local / "list"))):
        done = pipeline_here("evaluate", *drawn, "--store", store, "--out", out, home=local)
        assert done.returncode == 0, done.stderr
        scores.append(pq.read_table(Folder(out).open("scores.parquet")))
    assert scores[0].equals(scores[1])
    assert np.isfinite(np.stack(scores[0]["likelihood"].to_numpy())).all()
    assert not [name for name in objects(s3, f"{OUT}-list") if name.startswith("evidence")]


def test_verify_finds_damage_on_s3_and_repair_makes_it_good(s3, local, stored):
    before = objects(s3, STORE)
    name = "device=101/chunk-00001.parquet"
    place = {"Bucket": BUCKET, "Key": f"a+b é/store/{name}"}
    middle = len(before[name]) // 2
    flipped = bytes([before[name][middle] ^ 1])
    s3.put_object(**place, Body=before[name][:middle] + flipped + before[name][middle + 1 :])
    found = camid_here("store", "verify", STORE, "--sources", home=local)
    assert found.returncode == 1
    assert f"{name}: its bytes have changed since it was written" in found.stderr
    assert "28 chunks, 1 problem; no photographs gone or changed" in found.stdout
    mended = camid_here("store", "verify", STORE, "--repair", home=local)
    assert mended.returncode == 0, mended.stderr
    assert "1 chunks made again; the digest is as before" in mended.stdout
    assert objects(s3, STORE) == before


@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.long)])
def test_a_killed_run_leaves_nothing_half_visible_and_the_next_completes_it(
    s3, local, stored, seed, kills
):
    whole, store = objects(s3, STORE), f"s3://{BUCKET}/killed-{kills}"
    choice = random.Random(seed)
    command = [sys.executable, str(ROOT / "pipelines/preprocess.py"), *OPTIONS]
    for _ in range(kills):
        begun = len(objects(s3, store))
        process = subprocess.Popen(
            [*command, "--data", DATA, "--store", store],
            cwd=local,
            env=environment(local),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None and len(objects(s3, store)) <= begun:
            time.sleep(0.1)
        time.sleep(choice.uniform(0, 0.4))
        for member in family(process):
            member.kill()
        process.kill()
        process.wait()
        visible = objects(s3, store)
        assert chunks(visible).items() <= chunks(whole).items()
        is_finished = json.loads(visible["store.json"])["content_digest"]
        assert not is_finished or chunks(visible) == chunks(whole)
    assert preprocess(local, store).returncode == 0
    assert chunks(objects(s3, store)) == chunks(whole)


def test_an_upload_that_fails_half_way_leaves_what_was_there(s3):
    folder = Folder(f"s3://{BUCKET}/{TORN}")
    folder.write("file", b"old")
    with pytest.raises(PermissionError, match="torn/file: its server refuses access"):
        folder.write("file", os.urandom(2**25))
    with pytest.raises(PermissionError):
        folder.write("new", os.urandom(2**25))
    assert folder.files() == ["file"]
    assert folder.read("file") == b"old"


@pytest.mark.parametrize(
    ("command", "variables", "sentence"),
    [
        (["preprocess", "--data", f"{NOWHERE}/x"], {}, f"{NOWHERE}/x: no such folder or table"),
        (["preprocess", "--store", NOWHERE], {}, f"{NOWHERE}: there is no such bucket; make it"),
        (["baselines", "--store", NOWHERE], {}, f"{NOWHERE}: no strip store there"),
        (["baselines", "--out", f"{NOWHERE}/x"], {}, "there is no such bucket; make it first"),
        (["preprocess"], ANONYMOUS, "its server refuses access; see AWS_ACCESS_KEY_ID"),
        (["preprocess"], {"AWS_ACCESS_KEY_ID": "wrong"}, "refuses access; see AWS_ACCESS_KEY_ID"),
        (["preprocess"], DEAD, "its server cannot be reached; see the network and AWS_ENDPOINT"),
        (["baselines"], DEAD, "its server cannot be reached; see the network and AWS_ENDPOINT"),
        (["baselines"], {"AWS_ENDPOINT_URL": "none"}, "its server cannot be reached"),
    ],
)
def test_what_is_wrong_with_an_address_is_one_sentence(
    stored, tmp_path, command, variables, sentence
):
    """The last option of a name counts."""
    places = {
        "preprocess": ["--data", DATA, "--store", f"s3://{BUCKET}/new"],
        "baselines": ["--store", STORE, "--out", f"s3://{BUCKET}/new"],
    }
    name, *options = command
    refused = (pipeline if variables else pipeline_here)(  # a process keeps its servers in mind
        name, *OPTIONS, *places[name], *options, home=tmp_path, **variables
    )
    assert refused.returncode == 2, refused.stdout
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
