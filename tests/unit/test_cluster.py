"""The files in ``cluster/`` are well formed, fit one another, and keep what their README says.

Launcher files are held against the schema of the installed Ray, manifests against those of
``kuberay/`` beside this file, which are of KubeRay 1.7.0 and Kubernetes' Python client 37.0.2.
"""

import json
import re
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from jsonschema.exceptions import ValidationError

from tests.unit.kuberay.manifests import FOLDER as KUBERAY
from tests.unit.kuberay.manifests import (
    JOBS,
    Tree,
    built,
    check_manifest,
    manifests,
    pods,
    ray_clusters,
    selected,
)

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
README = (CLUSTER / "README.md").read_text()
LAUNCHERS = ("aws", "gcp", "onprem")
TEXTS = sorted(
    path for path in CLUSTER.rglob("*") if path.is_file() and "__pycache__" not in path.parts
)
RAY_VERSION = re.search(r"^ray==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M)[1]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Ray's command line


def launcher(name: str) -> Tree:
    return yaml.safe_load((CLUSTER / f"{name}.yaml").read_text())


def prepared(config: Tree) -> Tree:
    """Return a launcher's file with Ray's defaults, or raise what Ray has against it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    whole = prepare_config(deepcopy(config))
    validate_config(whole)
    return whole


@pytest.mark.parametrize("name", LAUNCHERS)
def test_ray_accepts_a_launcher_file(name):
    whole = prepared(launcher(name))
    assert all(isinstance(c, str) for k, v in whole.items() if k.endswith("_commands") for c in v)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_misspelt_field_of_a_launcher_file_is_found(name):
    config = launcher(name)
    config["idle_timeout_minuts"] = 10
    with pytest.raises(ValidationError, match="idle_timeout_minuts"):
        prepared(config)


@pytest.mark.parametrize("kind", ["head", "cpu", "gpu"])
def test_amazon_knows_every_field_of_its_machines(kind):
    from botocore.session import get_session
    from botocore.validate import ParamValidator

    shape = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    machine = launcher("aws")["available_node_types"][kind]["node_config"]
    asked = {**machine, "MinCount": 1, "MaxCount": 1}
    assert not ParamValidator().validate(asked, shape).generate_report()
    assert ParamValidator().validate({**asked, "InstanceTypes": "x"}, shape).has_errors()


@pytest.mark.parametrize("one", manifests(), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}")
def test_a_manifest_has_only_fields_that_exist(one):
    check_manifest(one)


MISSPELT = (
    ("RayCluster", ("spec", "authOptions", "mod")),
    ("RayCluster", ("spec", "autoscalerOptions", "versions")),
    (
        "RayCluster",
        ("spec", "headGroupSpec", "template", "spec", "securityContext", "runAsNonroot"),
    ),
    ("RayJob", ("spec", "ttlSecondsAfterFinish")),
    ("RayJob", ("spec", "rayClusterSpec", "workerGroupSpecs", 1, "minReplica")),
    ("Deployment", ("spec", "template", "spec", "containers", 0, "readynessProbe")),
    ("StatefulSet", ("spec", "volumeClaimTemplate")),
    ("NetworkPolicy", ("spec", "ingres")),
    ("PersistentVolumeClaim", ("spec", "accessMode")),
)


@pytest.mark.parametrize(("kind", "field"), MISSPELT)
def test_a_misspelt_field_of_a_manifest_is_found(kind, field):
    one = next(deepcopy(m) for m in manifests() if m["kind"] == kind)
    check_manifest(one)
    *way, last = field
    place: Any = one
    for part in way:
        place = place[part]
    place[last] = "x"
    with pytest.raises(ValidationError, match=last):
        check_manifest(one)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (("authOptions", "mode"), "tokens"),
        (("autoscalerOptions", "version"), "v3"),
        (("workerGroupSpecs", 0, "maxReplicas"), "16"),
        (("rayVersion",), 2.6),
    ],
)
def test_a_wrong_value_of_a_manifest_is_found(field, value):
    one = next(deepcopy(m) for m in manifests() if m["kind"] == "RayCluster")
    *way, last = field
    place: Any = one["spec"]
    for part in way:
        place = place[part]
    place[last] = value
    with pytest.raises(ValidationError):
        check_manifest(one)


def test_a_missing_field_of_a_manifest_is_found():
    one = next(deepcopy(m) for m in manifests() if m["kind"] == "Deployment")
    del one["spec"]["selector"]
    with pytest.raises(ValidationError, match="'selector' is a required property"):
        check_manifest(one)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
@pytest.mark.parametrize("folder", [KUBERAY, *(KUBERAY / "jobs" / job for job in JOBS)])
def test_kubectl_builds_what_these_tests_read(folder):
    done = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True
    )
    theirs = {(m["kind"], m["metadata"]["name"]): m for m in yaml.safe_load_all(done.stdout)}
    ours = {(m["kind"], m["metadata"]["name"]): m for m in built(folder)}
    assert set(theirs) == set(ours)
    for key, one in ours.items():
        assert _without_images(theirs[key].get("spec")) == _without_images(one.get("spec"))


def _without_images(tree: Any) -> Any:
    """Return a spec without what ``images:`` and ``namespace:`` of a kustomization change."""
    if isinstance(tree, dict):
        return {k: _without_images(v) for k, v in tree.items() if k not in {"image", "namespace"}}
    return [_without_images(part) for part in tree] if isinstance(tree, list) else tree


@pytest.mark.parametrize("script", sorted(CLUSTER.rglob("*.sh")), ids=lambda p: p.name)
def test_a_script_is_one_that_bash_can_read(script):
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)


def test_a_job_uploads_code_alone(tmp_path):
    from ray._private.runtime_env.packaging import create_package

    folder, package = tmp_path / "checkout", tmp_path / "package.zip"
    for name in ("camid", "pipelines", "tune_configs", "cluster"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".rayignore", folder)
    kept = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {".rayignore"}
    for name in (
        *(".git/objects/ab/cd", ".venv/bin/python", "store/device=1/chunk-00000.parquet"),
        *("store-640/manifest.parquet", "runs/demo/report.html", "simulated/a.jpg", "mlflow.db"),
        *("mlartifacts/1/model.keras", "build/lib/x.py", "tests/test_x.py", "docs/roc.png"),
        *("photographs/D01.JPG", "camid/__pycache__/x.pyc", "gpu-smoke/1/siamese.keras"),
        "camid.egg-info/PKG-INFO",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 2**16)
    create_package(str(folder), package, include_gitignore=False)
    with zipfile.ZipFile(package) as sent:
        assert {name for name in sent.namelist() if not name.endswith("/")} == kept
    assert package.stat().st_size < 4 * 2**20


def test_every_file_opens_with_its_command_size_and_cost():
    for path in (*(CLUSTER / f"{n}.yaml" for n in LAUNCHERS), CLUSTER / "slurm.sh"):
        opening = path.read_text().split("\n\n")[0]
        for word in ("# Starts:", "# Size:", "# Cost:"):
            assert word in opening, (path.name, word)
    for path in (KUBERAY / "raycluster.yaml", KUBERAY / "jobs/base/rayjob.yaml"):
        opening = path.read_text().split("apiVersion")[0]
        assert all(word in opening for word in ("# Starts:", "# Size:", "# Cost:")), path


def test_no_file_holds_a_secret():
    for path in TEXTS:
        text = path.read_text()
        assert not re.search(r"AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY|ghp_\w{20}", text), path
        assert not re.search(r"\b[0-9a-f]{32,}\b|eyJ[\w-]{20,}", text), path
        for name, value in re.findall(rf"(?i)\b(\w*{SECRET}\w*)=(\S+)", text):
            is_from_elsewhere = re.match(
                r"""["']?(\$|token\b)""", value
            )  # as in RAY_AUTH_MODE=token
            assert is_from_elsewhere, (path.name, name, value)
        for document in yaml.safe_load_all(text) if path.suffix == ".yaml" else ():
            assert document.get("kind") != "Secret", path
            for name, value in named_values(document):
                if re.search(rf"(?i){SECRET}", name):
                    assert value in NAMES or "$(" in value, (path.name, name, value)


SECRET = "(?:password|secret|token|access_key|private_key)"
NAMES = {"ray-token", "~/.ray/auth_token", "~/.ssh/id_ed25519"}
"""Of secrets and files, that stand where a secret is needed."""


def named_values(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield the text values of a document with their names: keys, or variables of containers."""
    if isinstance(tree, dict):
        if isinstance(tree.get("value"), str):
            yield str(tree.get("name")), tree["value"]
        for name, value in tree.items():
            if isinstance(value, str):
                yield str(name), value
            yield from named_values(value)
    for part in tree if isinstance(tree, list) else ():
        yield from named_values(part)


def test_a_secret_in_a_manifest_would_be_found():
    found = dict(named_values({"env": [{"name": "POSTGRES_PASSWORD", "value": "hunter2"}]}))
    assert found["POSTGRES_PASSWORD"] == "hunter2"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_node_of_a_launcher_starts_with_a_token(name):
    config = launcher(name)
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"]["/home/camid/.ray/auth_token"] == "~/.ray/auth_token"


def test_every_ray_cluster_on_kubernetes_starts_with_a_token():
    for name, spec in ray_clusters():
        assert spec["authOptions"] == {"mode": "token", "secretName": "ray-token"}, name


def test_image_and_slurm_start_with_a_token():
    assert re.search(r"^\s+RAY_AUTH_MODE=token ", (CLUSTER / "Containerfile").read_text(), re.M)
    script = (CLUSTER / "slurm.sh").read_text()
    before, _, after = script.partition("ray symmetric-run --address")
    assert after
    assert "export RAY_AUTH_MODE=token" in before
    assert re.search(r"\(umask 077 && .*>\"\$RAY_AUTH_TOKEN_PATH\"\)", before)
    assert "trap 'rm -f \"$RAY_AUTH_TOKEN_PATH\"' EXIT" in before


def test_the_dashboard_listens_on_loopback():
    for name in LAUNCHERS:
        commands = [c for c in launcher(name)["head_start_ray_commands"] if "ray start" in c]
        assert all("--dashboard-host=127.0.0.1" in c for c in commands), name
    assert "--dashboard-host=127.0.0.1" in (CLUSTER / "slurm.sh").read_text()
    hosts = {n: s["headGroupSpec"]["rayStartParams"]["dashboard-host"] for n, s in ray_clusters()}
    assert hosts.pop("RayCluster camid") == "127.0.0.1"
    assert set(hosts.values()) == {"0.0.0.0"}  # KubeRay asks it how a RayJob does


def test_only_kuberay_and_ray_itself_reach_the_dashboard_of_a_job():
    (policy,) = (m for m in manifests() if m["metadata"]["name"] == "ray-head")
    (rule,) = policy["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8265}]
    (who,) = rule["from"]
    assert set(who) == {"namespaceSelector", "podSelector"}


def test_the_head_does_no_work():
    for name in LAUNCHERS:
        config = launcher(name)
        (command,) = (c for c in config["head_start_ray_commands"] if "ray start" in c)
        assert "--num-cpus=0" in command
        if "available_node_types" in config:
            assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}
    for name, spec in ray_clusters():
        assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0", name


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_workers_come_from_nothing_and_only_those_without_gpus_are_on_spot(name):
    types = launcher(name)["available_node_types"]
    workers = {kind: types[kind] for kind in types if kind != "head"}
    assert set(workers) == {"cpu", "gpu"}
    assert all(w["min_workers"] == 0 < w["max_workers"] for w in workers.values())
    assert launcher(name)["max_workers"] == sum(w["max_workers"] for w in workers.values())
    spots = {kind for kind, w in types.items() if "spot" in str(w["node_config"]).lower()}
    assert spots == {"cpu"}
    assert {kind for kind, w in workers.items() if w["resources"].get("GPU")} == {"gpu"}


def test_workers_on_kubernetes_say_honestly_what_they_have():
    for name, spec in ray_clusters():
        cpu, gpu = spec["workerGroupSpecs"]
        assert (cpu["groupName"], gpu["groupName"]) == ("cpu", "gpu"), name
        assert cpu["minReplicas"] == 0 < cpu["maxReplicas"]
        assert gpu["minReplicas"] == 0 < gpu["maxReplicas"]
        for group in (cpu, gpu):
            resources = group["template"]["spec"]["containers"][0]["resources"]
            assert resources["requests"] == resources["limits"], name
            assert ("nvidia.com/gpu" in resources["limits"]) == (group is gpu), name


@pytest.mark.parametrize("name", ["aws", "gcp"])
def test_camid_is_told_what_a_launcher_may_start(name):
    config = launcher(name)
    types = [kind for name, kind in config["available_node_types"].items() if name != "head"]
    (told,) = (o for o in config["docker"]["run_options"] if "CAMID_NODE_TYPES" in o)
    _, stated = shlex.split(told)
    assert json.loads(stated.partition("=")[2]) == [
        {**kind["resources"], "count": kind["max_workers"]} for kind in types
    ]


def test_camid_is_told_what_kuberay_may_start():
    (told,) = (
        m["data"]["CAMID_NODE_TYPES"]
        for m in manifests()
        if m["kind"] == "ConfigMap" and m["metadata"]["name"] == "camid"
    )
    for name, spec in ray_clusters():
        assert json.loads(told) == [started(group) for group in spec["workerGroupSpecs"]], name


def started(group: Tree) -> dict[str, int]:
    """Return the resources that KubeRay starts Ray with on a node of a group, and how many."""
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    gpus = {"GPU": int(limits["nvidia.com/gpu"])} if "nvidia.com/gpu" in limits else {}
    memory = int(limits["memory"].removesuffix("Gi")) * 2**30
    return {"CPU": int(limits["cpu"]), "memory": memory, "count": group["maxReplicas"], **gpus}


def test_jobs_start_the_cluster_that_stays_but_for_the_dashboard():
    (stays,) = (m["spec"] for m in manifests() if m["kind"] == "RayCluster")
    for name, spec in ray_clusters():
        spec["headGroupSpec"]["rayStartParams"]["dashboard-host"] = "127.0.0.1"
        assert spec == stays, name


def test_jobs_leave_nothing_behind():
    jobs = [m for m in manifests() if m["kind"] == "RayJob"]
    assert sorted(m["metadata"]["name"] for m in jobs) == [f"camid-{job}" for job in JOBS]
    for job in jobs:
        spec = job["spec"]
        assert spec["shutdownAfterJobFinishes"]
        assert spec["ttlSecondsAfterFinished"]
        assert spec["activeDeadlineSeconds"]
        check_command(spec["entrypoint"])


def test_the_lasting_cluster_is_the_other_with_a_head_that_remembers_and_tls():
    plain, lasting = (built(folder) for folder in (KUBERAY, KUBERAY / "lasting"))
    for one, other in zip(plain, lasting, strict=True):
        check_manifest(other)
        if one["kind"] == "RayCluster":
            assert other["spec"].pop("tlsOptions") == {"enabled": True}
            assert other["spec"].pop("gcsFaultToleranceOptions")["backend"] == "rocksdb"
        assert one == other
    assert "RayClusterMTLS" in README
    assert "GCSFaultToleranceEmbeddedStorage" in README


def test_images_have_the_locks_ray():
    file = (CLUSTER / "Containerfile").read_text()
    assert "--constraint requirements.lock --requirement requirements.txt" in file
    assert not re.search(r"\bray\s*[=<>\[]", file)
    for name, spec in ray_clusters():
        assert spec["rayVersion"] == RAY_VERSION, name


def test_all_that_an_image_is_built_from_is_sent_and_nothing_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / name).exists() for name in sent)
    needed = {"camid", "pipelines", "tune_configs", "requirements.txt", "requirements.lock"}
    assert needed | {"pyproject.toml", "README.md", "LICENSE", "cluster/gpu_smoke.py"} == sent


def test_every_selector_finds_a_pod():
    templates = [template["metadata"]["labels"] for _, template in pods()]
    for one in manifests():
        name, spec = f"{one['kind']} {one['metadata']['name']}", one.get("spec", {})
        if one["kind"] in {"Deployment", "StatefulSet"}:
            assert selected(spec["selector"], spec["template"]["metadata"]["labels"]), name
        if one["kind"] == "Service":
            assert any(spec["selector"].items() <= labels.items() for labels in templates), name
        if one["kind"] == "NetworkPolicy":
            assert any(selected(spec["podSelector"], labels) for labels in templates), name
            peers = [
                peer["podSelector"]
                for rule in (*spec.get("ingress", ()), *spec.get("egress", ()))
                for peer in (*rule.get("from", ()), *rule.get("to", ()))
                if "namespaceSelector" not in peer
            ]
            for peer in peers:
                assert any(selected(peer, labels) for labels in templates), (name, peer)


def test_every_service_finds_the_port_of_its_pods():
    for one in manifests():
        if one["kind"] == "Service":
            ports = {
                port["name"]
                for _, template in pods()
                if one["spec"]["selector"].items() <= template["metadata"]["labels"].items()
                for container in template["spec"]["containers"]
                for port in container["ports"]
            }
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports


ALLOWED = {
    *(("ray", "ray"), ("ray", "mlflow"), ("mlflow", "postgres")),
}


def test_only_ray_reaches_mlflow_and_only_mlflow_reaches_postgresql():
    policies = [m["spec"] for m in manifests() if m["kind"] == "NetworkPolicy"]
    (deny,) = (p for p in policies if "ingress" not in p and "egress" not in p)
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    parts = {_part(t["metadata"]["labels"]): t["metadata"]["labels"] for _, t in pods()}
    assert set(parts) == {"ray", "mlflow", "postgres"}
    for way in ("ingress", "egress"):
        found = {
            (other, part) if way == "ingress" else (part, other)
            for policy in policies
            for part, labels in parts.items()
            if selected(policy["podSelector"], labels)
            for rule in policy.get(way, ())
            for peer in (*rule.get("from", ()), *rule.get("to", ()))
            if "namespaceSelector" not in peer
            for other, others in parts.items()
            if selected(peer["podSelector"], others)
        }
        assert found == ALLOWED, way


def _part(labels: Tree) -> str:
    return labels.get("app.kubernetes.io/component") or labels["app.kubernetes.io/name"]


def test_every_pod_runs_as_an_ordinary_user_within_limits():
    for name, template in pods():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec["terminationGracePeriodSeconds"] > 0, name
        is_head = template["metadata"]["labels"].get("ray.io/node-type") == "head"
        assert is_head or spec["automountServiceAccountToken"] is False, name  # the autoscaler's
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert set(container["resources"]) == {"requests", "limits"}, name


def test_every_server_has_probes():
    for name, template in pods():
        if _part(template["metadata"]["labels"]) != "ray":  # KubeRay adds Ray's own
            for container in template["spec"]["containers"]:
                assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name


def test_everything_that_is_referred_to_exists_or_is_made_by_a_command_of_the_readme():
    files = {(m["kind"], m["metadata"]["name"]) for m in manifests()}
    made = set(re.findall(r"create secret generic (\S+) --from-(?:literal|file)=(\S+?)=", README))
    made |= set(
        re.findall(r"create secret generic (bucket) .* --from-literal=(secret-key)=", README)
    )
    assert made
    for name, template in pods():
        spec = template["spec"]
        mounted = {volume["name"]: volume for volume in spec.get("volumes", ())}
        for volume in mounted.values():
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in files, name
        for container in spec["containers"]:
            for source in container.get("envFrom", ()):
                assert ("ConfigMap", source["configMapRef"]["name"]) in files, name
            for variable in container.get("env", ()):
                if key := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert (key["name"], key["key"]) in made, (name, key)
            wanted = {mount["name"] for mount in container.get("volumeMounts", ())}
            assert wanted <= {*mounted, "data"}, name
    for name, spec in ray_clusters():
        assert (spec["authOptions"]["secretName"], "auth_token") in made, name


def test_mlflow_answers_to_the_names_that_it_is_called_by():
    from mlflow.server.security_utils import is_allowed_host_header

    (spec,) = (t["spec"] for name, t in pods() if name == "Deployment mlflow")
    environment = {e["name"]: e.get("value") for e in spec["containers"][0]["env"]}
    allowed = environment["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    (settings,) = (
        m for m in manifests() if m["kind"] == "ConfigMap" and m["metadata"]["name"] == "camid"
    )
    called = settings["data"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    for host in (called, "localhost:5000", "127.0.0.1:5000"):
        assert is_allowed_host_header(allowed, host), host
    assert not is_allowed_host_header(allowed, "evil.example:5000")


def commands() -> list[str]:
    """Return the commands in the README's blocks, without comments."""
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", README, re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s+# .*", "", line) for line in lines if line]


CHECKED = ("ray ", "make ", "python ", "sbatch ", "camid ")


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith(CHECKED)])
def test_a_command_of_the_readme_names_what_exists(command):
    check_command(command)


def test_a_command_that_names_what_does_not_exist_is_found():
    for wrong in (
        *("ray up --no-such cluster/aws.yaml", "ray upp cluster/aws.yaml", "make preproces"),
        *("ray up cluster/azure.yaml", "python pipelines/tune.py", "sbatch cluster/slurm.py"),
        *("ray job submit -- python pipelines/no.py", "camid uii", "ray start --num-cpu=0"),
        "python pipelines/demo.py --set training.num_worker=2",
    ):
        with pytest.raises(AssertionError):
            check_command(wrong)


def test_every_file_that_the_readme_names_exists():
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (CLUSTER / name).exists(), name
    for name in re.findall(r"apply -[kf] (\S+)|delete -k (\S+)", README):
        assert (ROOT / "".join(name)).exists(), name


def test_the_readmes_sizes_are_the_main_readmes():
    main = (ROOT / "README.md").read_text()
    assert re.search(r"9,700 .* \| 178\.4 GB \| 1\.10 \|", main)
    assert re.search(r"4000×3000 px \| 165,000,000 \| 25\.3 TB \| 164\.71 \|", main)
    assert re.search(r"9,700 .* \| 1\.10 \| 178 GB \|", README)
    assert re.search(r"4000×3000 px \| 165 \| 25\.3 TB \|", README)


def check_command(line: str) -> None:
    """Assert that a command's programs, files and options exist."""
    program, *words = shlex.split(line)
    if program == "ray":
        _check_ray(words)
    elif program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert next(word for word in words if "=" not in word) in targets, line
    elif program == "camid":
        from camid.cli import main

        _check_click(main, words)
    elif program == "sbatch":
        script = next(word for word in words if not word.startswith("-"))
        assert script == "cluster/slurm.sh", line
        check_command(shlex.join(words[words.index(script) + 1 :]))
    else:
        assert program == "python", line
        assert (ROOT / words[0]).is_file(), line
        _check_script(words)


def _check_ray(words: list[str]) -> None:
    from ray.scripts.scripts import cli

    own, _, entrypoint = shlex.join(words).partition(" -- ")
    told = shlex.split(own)
    _check_click(cli, told)
    for word in told:
        if word.startswith("cluster/"):
            assert (ROOT / word).is_file(), word
    if entrypoint:
        check_command(entrypoint)


def _check_click(command: Any, words: list[str]) -> None:
    """Assert that a click command has the subcommands and options of a command line."""
    while isinstance(command, click.Group):
        assert words, "a command is missing"
        name, *words = words
        command = command.get_command(click.Context(command), name)
        assert command, name
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    for word in words:
        if word.startswith("-"):
            assert word.partition("=")[0] in known, (command.name, word)


def _check_script(words: list[str]) -> None:
    """Assert that a script has the options of a command line, and a configuration its fields."""
    from camid.config import load_config

    text = (ROOT / words[0]).read_text() + (ROOT / "camid/cli/pipeline.py").read_text()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            assert f'"{word.partition("=")[0]}"' in text, word
        if word == "--set":
            try:
                load_config(settings=[following])
            except ValueError as error:
                raise AssertionError(str(error)) from None


def test_slurms_options_are_those_of_ray_start():
    from ray.scripts.scripts import start, symmetric_run

    script = (CLUSTER / "slurm.sh").read_text()
    told = script.split("ray symmetric-run --address")[1].split(" -- ")[0]
    known = {name for one in (*start.params, *symmetric_run.params) for name in one.opts}
    named = set(re.findall(r"(--[a-z-]+)", told))
    assert {"--min-nodes", "--num-cpus", "--num-gpus", "--dashboard-host"} <= named
    assert named <= known


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launchers_options_are_those_of_ray_start(name):
    config = launcher(name)
    for command in (*config["head_start_ray_commands"], *config["worker_start_ray_commands"]):
        check_command(command.rpartition("; ")[2])
    for command in (*config["setup_commands"],):
        check_command(command)
