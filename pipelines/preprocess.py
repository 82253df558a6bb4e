"""Photographs → strip store: ``python pipelines/preprocess.py --data PHOTOGRAPHS``."""

from camid.cli.pipeline import pipeline, print_lines
from camid.config import Config
from camid.runtime.ingest.ensure_store import make_recorded_store


@pipeline("preprocess")
def main(config: Config, *, fresh: bool) -> None:
    """Denoise photographs and cut them into a strip store; go on where a run was stopped."""
    print_lines(make_recorded_store(config, fresh=fresh).lines(config.paths.store))


if __name__ == "__main__":
    main()
