"""A pipeline's output folder: its resolved configuration, and results once it is finished."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from camid.config import Config, config_tree, config_yaml, differences
from camid.folder import Folder

CONFIG = "config.yaml"
RESULTS = "results.json"


@dataclass(frozen=True)
class Output:
    """An output folder that belongs to one resolved configuration."""

    folder: Folder

    @property
    def is_finished(self) -> bool:
        """Whether the run that the folder belongs to has written its results."""
        return self.folder.exists(RESULTS)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of a finished run."""
        rows: list[dict[str, Any]] = json.loads(self.folder.read(RESULTS))
        return rows

    def finish(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the results, last of all."""
        self.folder.write(RESULTS, (json.dumps(list(rows), indent=2) + "\n").encode())


def claimed(config: Config, *, fresh: bool) -> Output:
    """Return the output folder at ``config.paths.out``, now this configuration's.

    A folder of the same configuration is gone on with; ``fresh`` empties it first.

    Raises
    ------
    ValueError
        If it belongs to another configuration, or holds what is no pipeline's output.
    """
    folder = Folder(config.paths.out)
    if fresh and folder.exists(CONFIG):
        for name in folder.files():
            folder.delete(name)
    if folder.exists(CONFIG):
        old = yaml.safe_load(folder.read(CONFIG))
        changed = differences(old if isinstance(old, dict) else {}, config_tree(config))
        if changed:
            raise ValueError(
                f"{folder.uri}: made with another configuration ({'; '.join(changed)}); "
                "name another with --out, or replace it with --fresh"
            )
        return Output(folder)
    if folder.files():
        raise ValueError(f"{folder.uri}: holds files of something else; name another with --out")
    folder.write(CONFIG, config_yaml(config).encode())
    return Output(folder)
