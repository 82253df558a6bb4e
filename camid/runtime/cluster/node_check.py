"""Checks of a cluster's nodes before work: installed packages and reachable folders."""

import os
import platform
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from camid.config import Paths
from camid.io.folder import MARK, Folder
from camid.runtime.cluster.resources import check_processors
from camid.runtime.cluster.session import session

ALIKE = (
    *("camid", "ray", "numpy", "scipy", "PyWavelets", "numba", "pillow", "pyarrow"),
    *("tensorflow", "keras"),
)
"""Packages that results depend on, or that work needs."""
SECONDS = 120
"""Seconds that a node may take to answer."""


def check_nodes(paths: Paths) -> None:
    """Raise if a node of the cluster that ``RAY_ADDRESS`` names cannot do its part of the work.

    Every node must have this program's packages, and must see the same folders of the store, of
    the output and of the photographs.

    Raises
    ------
    ValueError
        With the address of the first node that differs.
    """
    if os.environ.get("RAY_ADDRESS", "") not in {"", "local"}:
        _checked(paths.data, paths.store, paths.out)


@cache
def _checked(data: str, *written: str) -> None:
    """Check the nodes, once per program and folders."""
    with session(), _marked(written) as marks:
        check_processors()
        data = data if data and Folder(data).exists() else ""  # reported missing elsewhere
        here = installed()
        for address, answer in _answers(marks, data).items():
            if differing := differences(here, answer["installed"]):
                raise ValueError(
                    f"the node {address} has {differing}; install the same everywhere, "
                    "as cluster/README.md says"
                )
            for folder in answer["missing"]:
                raise ValueError(
                    f"the node {address} does not see {folder} as this program does; name storage "
                    "that all nodes share, by CAMID_HOME, --data, --store and --out"
                )


def installed() -> dict[str, str]:
    """Return the versions of Python and of :data:`ALIKE`; ``""`` where not installed."""
    versions = {"Python": platform.python_version()}
    for package in ALIKE:
        versions[package] = ""
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return a message about versions that differ between two places; empty if none does."""
    return ", ".join(
        f"{f'{name} {there[name]}' if there.get(name) else f'no {name}'} "
        f"where this program has {here[name] or 'none'}"
        for name in here
        if there.get(name, "") != here[name]
    )


@contextmanager
def _marked(folders: Sequence[str]) -> Iterator[dict[str, str]]:
    """Keep a file in each folder while the body runs; yield the folders by the files' addresses."""
    name = MARK + uuid.uuid4().hex
    marked_folders = [Folder(folder) for folder in folders]
    for marked in marked_folders:
        marked.make()
        marked.write(name, b"")
    try:
        yield {marked.address(name): marked.uri for marked in marked_folders}
    finally:
        for marked in marked_folders:
            marked.delete(name)


def _answers(marks: Mapping[str, str], data: str) -> dict[str, dict[str, Any]]:
    """Return the answer of each running node but this program's own, by address."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    own_id = ray.get_runtime_context().get_node_id()
    look = ray.remote(num_cpus=0, max_retries=0)(_looking(dict(marks), data))
    requests = {
        node["NodeManagerAddress"]: look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != own_id
    }
    answers: dict[str, dict[str, Any]] = {}
    for address, request in requests.items():
        try:
            answers[address] = ray.get(request, timeout=SECONDS)
        except ray.exceptions.GetTimeoutError:
            raise ValueError(f"the node {address} has not answered in {SECONDS} s") from None
        except ray.exceptions.NodeDiedError:
            continue  # a lost node runs no work
        except ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ValueError(f"the node {address} cannot run camid: {reason}") from None
    return answers


def _looking(marks: dict[str, str], data: str) -> Callable[[], dict[str, Any]]:
    """Return the function that a node runs, sent by value as camid may not be installed there."""

    def look() -> dict[str, Any]:
        from importlib.util import find_spec

        if find_spec("camid") is None:
            return {"installed": {}, "missing": []}
        from camid.io.folder import Folder
        from camid.runtime.cluster.node_check import installed

        missing = []
        for mark, folder in marks.items():
            parent, name = Folder.at(mark)
            if not parent.exists(name):
                missing.append(folder)
        if data and not Folder(data).exists():
            missing.append(data)
        return {"installed": installed(), "missing": missing}

    return look
