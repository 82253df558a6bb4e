"""The whole path on simulated phones: ``python pipelines/demo.py``."""

from camid.cli.pipeline import CLOSED_SET, EVALUATION, pipeline, print_results, print_table
from camid.config import Config
from camid.evaluation.report.facts import BY_IMAGE
from camid.runtime.pipelines.demo import make_demo

BRIEF = (
    *("training.num_steps=80", "training.batch_size=32", "training.micro_batches=4"),
    *("training.learning_rate=0.01", "training.warmup_steps=10", "training.validate_every=40"),
    *("training.validation_pairs=256", "comparisons.num_pairs=300"),
)

LONG = ("cnn-embedding",)
"""Names that would widen the table of all others."""


@pipeline("demo", "split=seeded", *BRIEF)
def main(config: Config, *, fresh: bool) -> None:
    """Simulate phones, preprocess them; run the baselines and train two networks; judge all."""
    output, rows = make_demo(config, fresh=fresh)
    asked = [row for row in rows if row["split"] == BY_IMAGE and row["negatives"] == "all"]
    baselines = [r for r in rows if r["crop_size"] == "whole" and r["split"] != BY_IMAGE]
    few = [row for row in rows if row["crop_size"] != "whole"]
    title = f"Networks, trained briefly: {few[0]['images']} images, {few[0]['crop_size']} px crops"
    apart = [
        [row for row in few if (row["method"] in LONG) is is_long] for is_long in (False, True)
    ]
    for some in apart:
        print_table(some, title=title, columns=EVALUATION)
    title = f"Which of {asked[0]['num_devices']} phones? A classifier, {asked[0]['images']} images"
    print_table(asked, title=title, columns=CLOSED_SET)
    title = "Sensor-noise baselines, simulated phones"
    print_results(baselines, title=title, folder=output.folder.uri)


if __name__ == "__main__":
    main()
