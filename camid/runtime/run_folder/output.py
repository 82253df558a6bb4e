"""A pipeline's output folder: its resolved configuration, and results once it is finished."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from camid.config import Config, config_tree, config_yaml, differences
from camid.evaluation.result_rows import ResultRow, read_rows, write_rows
from camid.io.folder import MARK, TEMPORARY, Folder
from camid.io.lock import LOCK, locked
from camid.io.output_layout import CONFIG, INPUTS, PARTS, RESULTS
from camid.io.yaml_text import yaml_values

MEANS = {
    "training": (
        *("num_workers", "min_workers", "use_gpu", "worker_cpus"),
        *("feed_workers", "feed_cpus", "prefetch", "max_failures", "placement"),
        "checkpoint_minutes",
    ),
    "search": ("num_concurrent", "max_failures"),
}
"""Fields of how a result is computed; a stopped run may resume with other values."""


@dataclass(frozen=True)
class Output:
    """An output folder that belongs to one resolved configuration."""

    folder: Folder

    @property
    def is_finished(self) -> bool:
        """Whether the run that the folder belongs to has written its results."""
        return self.folder.exists(RESULTS)

    def rows(self) -> list[ResultRow]:
        """Return the rows of a finished run; empty if the run is not finished."""
        return read_rows(self.folder)

    def finish(self, rows: Sequence[ResultRow]) -> None:
        """Write the results, last of all."""
        write_rows(self.folder, rows)


def claimed(
    config: Config,
    *,
    fresh: bool,
    inputs: Mapping[str, Any] | None = None,
    parts: Sequence[str] = (),
) -> Output:
    """Claim the output folder at ``config.paths.out`` for the configuration, and return it.

    A folder of the same configuration and ``inputs`` (digests and lists of the data) is resumed,
    whatever its :data:`MEANS` were. ``fresh`` first deletes the files that pipelines write there,
    and the further ``parts``.

    Raises
    ------
    ValueError
        If it belongs to another configuration or to other inputs, or holds other files.
    """
    folder = output_folder(config)
    new = {CONFIG: config_tree(config), INPUTS: dict(inputs or {})}
    if not folder.exists(CONFIG):
        if _others(folder):
            raise ValueError(f"{folder.uri}: holds files of others; name another with --out")
    else:
        old = _stated(folder)
        changed = [
            *differences(_ends(old[CONFIG]), _ends(new[CONFIG])),
            *differences(old[INPUTS], new[INPUTS]),
        ]
        if changed and not fresh:
            raise ValueError(
                f"{folder.uri}: made with different settings ({'; '.join(changed)}); "
                "name another with --out, or replace it with --fresh"
            )
    if fresh:
        for name in (*PARTS, *parts):
            folder.delete(name)
    output = Output(folder)
    if not output.is_finished:
        folder.write(INPUTS, (json.dumps(new[INPUTS], indent=2) + "\n").encode())
        folder.write(CONFIG, config_yaml(config).encode())
    return output


def replaced(config: Config, *, pipeline: str) -> Output:
    """Return the output folder of a pipeline that never resumes, with the configuration written.

    Each run replaces the files of the same pipeline's last run at ``config.paths.out``.

    Raises
    ------
    ValueError
        If the folder holds other files.
    """
    folder, inputs = output_folder(config), {"pipeline": pipeline}
    if _others(folder) and (not folder.exists(CONFIG) or _stated(folder)[INPUTS] != inputs):
        raise ValueError(f"{folder.uri}: holds files of others; name another with --out")
    folder.write(INPUTS, (json.dumps(inputs, indent=2) + "\n").encode())
    folder.write(CONFIG, config_yaml(config).encode())
    return Output(folder)


@contextmanager
def output_lock(config: Config) -> Iterator[None]:
    """Make the output folder and hold its lock: two runs that write there would mix.

    Raises
    ------
    ValueError
        If another run holds it, or a file is there.
    """
    with locked(output_folder(config), what="these results"):
        yield


def output_folder(config: Config) -> Folder:
    """Return the output folder of a configuration.

    Raises
    ------
    ValueError
        If a file is there.
    """
    folder = Folder(config.paths.out)
    if folder.is_file():
        raise ValueError(f"{folder.uri}: is a file; name a folder with --out")
    return folder


def _others(folder: Folder) -> list[str]:
    """Return the files of a folder besides those that a run may leave that ends as it begins."""
    return [
        name
        for name in folder.files()
        if name not in {LOCK, INPUTS}
        and not name.startswith(MARK)
        and not (name.endswith(TEMPORARY) and name.startswith((CONFIG, INPUTS)))
    ]


def _ends(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without its :data:`MEANS`."""
    return {
        section: {k: v for k, v in fields.items() if k not in MEANS.get(section, ())}
        if isinstance(fields, Mapping)
        else fields
        for section, fields in tree.items()
    }


def _stated(folder: Folder) -> dict[str, dict[str, Any]]:
    """Return the configuration and inputs that an output folder was made with."""
    try:
        config = yaml_values(folder.read(CONFIG).decode())
        inputs = json.loads(folder.read(INPUTS)) if folder.exists(INPUTS) else {}
    except ValueError:
        config = None
    sections = set(config_tree(Config()))
    if not isinstance(config, dict) or not {"seed", "paths"} <= set(config) <= sections:
        raise ValueError(f"{folder.uri}: its {CONFIG} is none of camid's; name another with --out")
    return {CONFIG: config, INPUTS: inputs}
