"""The manifests in ``cluster/kuberay/``: built as kustomize does, and held against schemas.

KubeRay's own fields are those of its v1.7.0, without the sections that camid does not use;
Kubernetes' types are those of its Python client 37.0.2. A field that is not there fails: the real
API server would drop it without a word.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).parents[3] / "cluster/kuberay"
JOBS = ("preprocess", "smoke", "train", "tune")

Tree = dict[str, Any]


@cache
def _documents(path: Path) -> tuple[Tree, ...]:
    return tuple(yaml.safe_load_all(path.read_text()))


def built(folder: Path) -> list[Tree]:
    """Return what ``kubectl kustomize`` makes of a folder, as far as these folders ask for."""
    (file,) = _documents(folder / "kustomization.yaml")
    found: list[Tree] = []
    for name in file["resources"]:
        path = folder / name
        found += built(path) if path.is_dir() else deepcopy(list(_documents(path)))
    for patch in file.get("patches", ()):
        (target,) = (one for one in found if one["kind"] == patch["target"]["kind"])
        for step in yaml.safe_load(patch["patch"]):
            assert step["op"] in {"add", "replace"}
            *way, last = step["path"].strip("/").split("/")
            place: Any = target
            for part in way:
                place = place[int(part)] if isinstance(place, list) else place[part]
            assert (last in place) == (step["op"] == "replace"), step["path"]
            place[last] = step["value"]
    return found


def manifests() -> list[Tree]:
    """Return all that stays, and all jobs."""
    return built(FOLDER) + [one for job in JOBS for one in built(FOLDER / "jobs" / job)]


def ray_clusters() -> list[tuple[str, Tree]]:
    """Return every Ray cluster's specification, with the name of what it belongs to."""
    return [
        (f"{one['kind']} {one['metadata']['name']}", one["spec"].get("rayClusterSpec", one["spec"]))
        for one in manifests()
        if one["kind"] in {"RayCluster", "RayJob"}
    ]


def pods() -> Iterator[tuple[str, Tree]]:
    """Yield every pod's template, Ray's with the labels that KubeRay adds."""
    for one in manifests():
        name, spec = f"{one['kind']} {one['metadata']['name']}", one.get("spec", {})
        if one["kind"] in {"Deployment", "StatefulSet"}:
            yield name, spec["template"]
        if "submitterPodTemplate" in spec:
            yield f"{name}, submitter", spec["submitterPodTemplate"]
    for name, spec in ray_clusters():
        groups = {"head": [spec["headGroupSpec"]], "worker": spec["workerGroupSpecs"]}
        for kind, some in groups.items():
            for group in some:
                template = deepcopy(group["template"])
                template["metadata"]["labels"]["ray.io/node-type"] = kind
                yield f"{name}, {group.get('groupName', kind)}", template


def selected(selector: Tree, labels: Tree) -> bool:
    """Return whether a selector finds a pod with these labels."""
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


SCHEMAS = Path(__file__).parent
SCHEMA_OF = {
    "RayCluster": "rayclusters.json",
    "RayJob": "rayjobs.json",
    **{
        kind: f"kubernetes.json#/$defs/V1{kind}"
        for kind in (
            *("ConfigMap", "Deployment", "Namespace", "NetworkPolicy", "PersistentVolumeClaim"),
            *("Service", "StatefulSet"),
        )
    },
}
API_OF = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}


@cache
def _validator(kind: str) -> Draft202012Validator:
    known = [
        (file.name, DRAFT202012.create_resource(json.loads(file.read_text())))
        for file in SCHEMAS.glob("*.json")
    ]
    return Draft202012Validator(
        {"$ref": SCHEMA_OF[kind]}, registry=Registry().with_resources(known)
    )


def check_manifest(one: Tree) -> None:
    """Raise ``ValidationError`` if a manifest has a field that is unknown, missing or wrong."""
    _validator(one["kind"]).validate(one)
    if one["kind"] not in {"RayCluster", "RayJob"}:
        assert one["apiVersion"] == API_OF.get(one["kind"], "v1")
