"""Sessions of Ray, and the home of stores and outputs."""

import logging
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from filelock import FileLock, Timeout

from camid.config import Config, Paths
from camid.io.escaping import one_line
from camid.io.folder import Folder, absolute
from camid.io.lock import LOCK
from camid.io.stopping import kept_signals
from camid.runtime.cluster.watch import reach, watched
from camid.runtime.console import quiet

PREFIX = "camid-ray-"
"""Beginning of the names of folders of a program's own Rays."""
SHORT = "/tmp"
"""Folder of Ray's files on a machine: the paths of its sockets have 107 characters at most."""
CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's variable for systems on which it starts no clusters; others obey it too."""


def home() -> Folder:
    """Return the folder of stores and runs: ``$CAMID_HOME``, else the current folder.

    Raises
    ------
    ValueError
        In a Ray job's temporary folder, where results would be lost.
    """
    path = os.environ.get("CAMID_HOME", "")
    if path:
        return Folder(absolute(path))
    if "runtime_resources/working_dir_files" in str(Path.cwd()):
        raise ValueError(
            "this Ray job runs in a temporary folder, where its results would be lost; "
            "set CAMID_HOME to a lasting path or address"
        )
    return Folder(absolute("."))


def placed(config: Config, *, pipeline: str) -> Config:
    """Return the configuration with absolute paths, empty ones filled in under :func:`home`."""
    paths = config.paths
    absolute_paths = Paths(
        residuals=absolute(paths.residuals) if paths.residuals else "",
        data=absolute(paths.data) if paths.data else "",
        store=absolute(paths.store) if paths.store else (home() / "store").uri,
        out=absolute(paths.out) if paths.out else (home() / f"runs/{pipeline}").uri,
    )
    is_file = config.split.endswith((".yaml", ".yml"))
    split = absolute(config.split) if is_file else config.split
    space, stores = config.search.space, (config.search.space.get("paths") or {}).get("store")
    if stores:  # a search chooses among them
        choices = {name: [*map(absolute, values or ())] for name, values in stores.items()}
        space = {**space, "paths": {**(space["paths"] or {}), "store": {**choices}}}
    return replace(
        config, paths=absolute_paths, split=split, search=replace(config.search, space=space)
    )


@contextmanager
def session() -> Iterator[None]:
    """Run on the Ray that ``RAY_ADDRESS`` names, or on one started here and stopped at the end.

    Raises
    ------
    ValueError
        If the named cluster cannot be reached, or wants another token or other versions.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # failures are seen at once
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import ray
    import ray.data

    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    if ray.is_initialized():
        yield
        return
    address = _address()
    with ExitStack() as stack:
        options = stack.enter_context(_local_options()) if address == "local" else {}
        _init(address, options)
        stack.callback(ray.shutdown)
        stack.enter_context(watched(str(Path(options["_temp_dir"]).parent) if options else ""))
        yield


@contextmanager
def _local_options() -> Iterator[dict[str, Any]]:
    """Yield what a Ray of this program's own is started with.

    Nobody else reaches it or is told of it: it listens on this machine's loopback alone, and its
    files, with the address that other programs would join, are in a folder for the user alone.
    """
    base = os.environ.get("RAY_TMPDIR") or (SHORT if Path(SHORT).is_dir() else None)
    _sweep(Path(base or gettempdir()))
    private = TemporaryDirectory(prefix=PREFIX, dir=base, ignore_cleanup_errors=True)
    with private as folder, FileLock(f"{folder}/{LOCK}"), loopback_alone():
        place = f"{folder}/ray"  # which Ray opens to all, behind a folder that is not
        Path(f"{folder}/tmp").mkdir()  # TensorFlow leaves files there, and more where it is killed
        with _variable("TMPDIR", f"{folder}/tmp"):
            yield {"include_dashboard": False, "_temp_dir": place}


def _sweep(base: Path) -> None:
    """Delete the folders of this program's Rays that were killed, whose locks are free."""
    for lock in base.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError, Timeout):
            if lock.parent.stat().st_uid == os.geteuid() and not lock.parent.is_symlink():
                with FileLock(lock, timeout=0):
                    shutil.rmtree(lock.parent, ignore_errors=True)


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for the processes that the body starts."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


@contextmanager
def loopback_alone() -> Iterator[None]:
    """Have a Ray that the body starts listen on the loopback alone, on every system.

    Ray does so by itself on those where it starts no clusters.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        with _variable(CLUSTERS, "0"):
            yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _init(address: str | None, options: Mapping[str, Any]) -> None:
    """Start or join a Ray.

    Raises
    ------
    ValueError
        If it lets this program not in.
    """
    import ray
    from ray._private import worker
    from ray.exceptions import AuthenticationError

    worker._worker_logs_enabled = False  # its words on errors go to standard output, as answers do
    try:
        with quiet(), kept_signals():
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level="error",
                configure_logging=False,
                **options,
            )
    except (OSError, RuntimeError, AuthenticationError) as error:
        if not _is_named() and not isinstance(error, AuthenticationError):
            raise
        raise ValueError(_refused(error)) from None


def tensorflow_uses(num_threads: int, *, use_gpu: bool = False) -> None:
    """Limit TensorFlow's threads and GPUs in this process, unless TensorFlow has begun to work."""
    import tensorflow as tf

    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
        tf.config.threading.set_inter_op_parallelism_threads(num_threads)
        if not use_gpu:  # Ray does not hide them from tasks that requested none
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)


def tensorflow_of_a_task() -> bool:
    """Give TensorFlow what Ray gave this task: one processor, and a share of a GPU or none.

    Return whether there is one.
    """
    import ray

    has_gpu = bool(ray.get_runtime_context().get_accelerator_ids().get("GPU"))
    tensorflow_uses(1, use_gpu=has_gpu)
    return has_gpu


def _is_named() -> bool:
    return os.environ.get("RAY_ADDRESS", "") not in {"", "local"}


def _address() -> str | None:
    """Return ``local`` to start a Ray, or ``None`` to join the running one that Ray detects.

    Ray tries an address for minutes before it gives up, even one that a dead Ray left behind. The
    file in which it notes its address counts only if it is this user's: whoever it names gets the
    user's token.

    Raises
    ------
    ValueError
        If nobody answers at ``RAY_ADDRESS``.
    """
    from ray._private.utils import get_ray_address_file, read_ray_address

    if _is_named():
        address = os.environ["RAY_ADDRESS"]
        try:
            reach(address)
        except OSError as error:
            message = f"no Ray cluster answers at RAY_ADDRESS={address!r}: {error}"
            raise ValueError(message) from None
        return None
    is_told = "RAY_ADDRESS" not in os.environ and _is_own(get_ray_address_file(None))
    last_address = read_ray_address() if is_told else ""
    try:
        if last_address:
            reach(last_address)
            return None
    except OSError:
        pass
    return "local"


def _refused(error: Exception) -> str:
    """Return a message about why a cluster that answers was not joined."""
    reason = one_line(error)
    where = f"at RAY_ADDRESS={os.environ['RAY_ADDRESS']!r}" if _is_named() else "of this machine"
    if isinstance(error, RuntimeError):  # versions of Ray or Python
        return f"the Ray cluster {where} is not this program's: {reason}"
    return (
        f"the Ray cluster {where} lets nobody in without its token: set "
        "RAY_AUTH_MODE=token, and the token in ~/.ray/auth_token, RAY_AUTH_TOKEN_PATH or "
        f"RAY_AUTH_TOKEN ({reason.partition('.')[0]})"
    )


def _is_own(path: str) -> bool:
    """Return whether a file is this user's, and no other user writes it."""
    try:
        status = Path(path).lstat()
    except OSError:
        return False
    is_shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid() and not is_shared
