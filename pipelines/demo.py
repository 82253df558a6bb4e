"""The whole path on simulated phones: ``python pipelines/demo.py``."""

from camid.commandline import EVALUATION, pipeline, print_results, print_table
from camid.config import Config
from camid.runtime.workflow import make_demo

BRIEF = (
    *("training.num_steps=80", "training.batch_size=32", "training.micro_batches=4"),
    *("training.learning_rate=0.01", "training.warmup_steps=10", "training.validate_every=40"),
    *("training.validation_pairs=256", "comparisons.num_pairs=300"),
)


@pipeline("demo", "split=seeded", *BRIEF)
def main(config: Config, *, fresh: bool) -> None:
    """Simulate phones, preprocess them; run the baselines and train a network; judge both."""
    output, rows = make_demo(config, fresh=fresh)
    baselines = [row for row in rows if row["crop_size"] == "whole"]
    few = [row for row in rows if row["crop_size"] != "whole"]
    title = f"A network, trained briefly: {few[0]['images']} images, {few[0]['crop_size']} px crops"
    print_table(few, title=title, columns=EVALUATION)
    title = "Sensor-noise baselines, simulated phones"
    print_results(baselines, title=title, folder=output.folder.uri)


if __name__ == "__main__":
    main()
