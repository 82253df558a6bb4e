"""The nodes of a cluster, looked at before work: what they have installed, what they reach."""

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
"""Packages that results depend on, or without which work cannot be done."""
SECONDS = 120
"""Seconds that a node may take to answer."""


def check_nodes(paths: Paths) -> None:
    """Raise if a node of the cluster that ``RAY_ADDRESS`` names cannot do its part of the work.

    Packages are those of this program, and the folders of the store, of the output and of the
    photographs are the same everywhere.

    Raises
    ------
    ValueError
        Naming the first node for which that is not so.
    """
    if os.environ.get("RAY_ADDRESS", "") not in {"", "local"}:
        _checked(paths.data, paths.store, paths.out)


@cache
def _checked(data: str, *written: str) -> None:
    """Check the nodes, once for a program and its folders."""
    with session(), _marked(written) as marks:
        check_processors()
        data = data if data and Folder(data).exists() else ""  # what is missing is told elsewhere
        here = installed()
        for address, told in _answers(marks, data).items():
            if differing := differences(here, told["installed"]):
                raise ValueError(
                    f"the node {address} has {differing}; install the same everywhere, "
                    "as cluster/README.md says"
                )
            for folder in told["missing"]:
                raise ValueError(
                    f"the node {address} does not see {folder} as this program does; name storage "
                    "that all nodes share, by CAMID_HOME, --data, --store and --out"
                )


def installed() -> dict[str, str]:
    """Return the versions of Python and of :data:`ALIKE`; ``""`` where one is not installed."""
    found = {"Python": platform.python_version()}
    for package in ALIKE:
        found[package] = ""
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """Return in words what is not the same in two places; empty if all is."""
    return ", ".join(
        f"{f'{name} {there[name]}' if there.get(name) else f'no {name}'} "
        f"where this program has {here[name] or 'none'}"
        for name in here
        if there.get(name, "") != here[name]
    )


@contextmanager
def _marked(folders: Sequence[str]) -> Iterator[dict[str, str]]:
    """Leave a file in each folder for as long as the body takes; yield its addresses' folders."""
    name = MARK + uuid.uuid4().hex
    places = [Folder(folder) for folder in folders]
    for place in places:
        place.make()
        place.write(name, b"")
    try:
        yield {place.address(name): place.uri for place in places}
    finally:
        for place in places:
            place.delete(name)


def _answers(marks: Mapping[str, str], data: str) -> dict[str, dict[str, Any]]:
    """Return what each node that works tells, by its address; this program's own is not asked."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    own = ray.get_runtime_context().get_node_id()
    look = ray.remote(num_cpus=0, max_retries=0)(_looking(dict(marks), data))
    asked = {
        node["NodeManagerAddress"]: look.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != own
    }
    found: dict[str, dict[str, Any]] = {}
    for address, answer in asked.items():
        try:
            found[address] = ray.get(answer, timeout=SECONDS)
        except ray.exceptions.GetTimeoutError:
            raise ValueError(f"the node {address} has not answered in {SECONDS} s") from None
        except ray.exceptions.NodeDiedError:
            continue  # whatever it had
        except ray.exceptions.RayError as error:
            words = str(error).strip().splitlines()[-1]
            raise ValueError(f"the node {address} cannot run camid: {words}") from None
    return found


def _looking(marks: dict[str, str], data: str) -> Callable[[], dict[str, Any]]:
    """Return what a node does: a function that travels whole, as camid may not be there."""

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
