"""The whole path on simulated phones: ``python pipelines/demo.py``."""

from camid.cli.pipeline import pipeline, print_results, print_rows
from camid.config import Config
from camid.evaluation.columns import CLASSIFIER_TABLE, GALLERY_TABLE, LIST_TABLE
from camid.runtime.pipelines.demo import CLASSIFIED, SIAMESE, make_demo

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
    own = [row for row in rows if row.part in {"", SIAMESE} or row.method.startswith(CLASSIFIED)]
    asked = [row for row in own if row.kind == "classifier" and row.negatives == "all"]
    baselines = [row for row in own if row.kind == "gallery"]
    few = [row for row in own if row.kind == "pairs"]
    title = f"Networks, trained briefly: {few[0].images} images, {few[0].crop_size} px crops"
    apart = [[row for row in few if (row.method in LONG) is is_long] for is_long in (False, True)]
    for some in apart:
        print_rows(some, LIST_TABLE, title=title)
    count = asked[0].figures["num_devices"]
    title = f"Which of {count} phones? A classifier, {asked[0].images} images"
    print_rows(asked, CLASSIFIER_TABLE, title=title)
    title = "Sensor-noise baselines, simulated phones"
    print_results(baselines, GALLERY_TABLE, title=title, folder=output.folder.uri)


if __name__ == "__main__":
    main()
