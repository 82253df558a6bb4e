"""The whole path on simulated phones: ``python pipelines/demo.py``."""

from camid.commandline import pipeline, print_results
from camid.config import Config
from camid.runtime.workflow import make_demo


@pipeline("demo", "split=seeded")
def main(config: Config, *, fresh: bool) -> None:
    """Simulate phones, preprocess their photographs, run the baselines on the test devices."""
    output, rows = make_demo(config, fresh=fresh)
    print_results(rows, title="Sensor-noise baselines, simulated phones", folder=output.folder.uri)


if __name__ == "__main__":
    main()
