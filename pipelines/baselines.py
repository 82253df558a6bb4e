"""Strip store → the study's baselines: ``python pipelines/baselines.py --store STORE``."""

from camid.cli.pipeline import pipeline, print_results
from camid.config import Config
from camid.evaluation.columns import GALLERY_TABLE
from camid.runtime.pipelines.workflow import make_baselines


@pipeline("baselines")
def main(config: Config, *, fresh: bool) -> None:
    """Enrol each device, score every other image with Lukas and Li, and print the error rates."""
    output, rows = make_baselines(config, fresh=fresh)
    print_results(rows, GALLERY_TABLE, title="Sensor-noise baselines", folder=output.folder.uri)


if __name__ == "__main__":
    main()
