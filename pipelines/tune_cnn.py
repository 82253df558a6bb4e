"""Strip store → the best of many classifiers of its devices: ``python pipelines/tune_cnn.py``."""

from pathlib import Path

from camid.cli.pipeline import pipeline, print_results, print_search
from camid.config import Config
from camid.evaluation.columns import CLASSIFIER_TABLE
from camid.runtime.pipelines.workflow import make_cnn_search

FILE = Path(__file__).resolve().parents[1] / "tune_configs/cnn.yaml"


@pipeline("tune_cnn", file=str(FILE))
def main(config: Config, *, fresh: bool) -> None:
    """Search for the classifier that validates best; judge it beside other methods, once."""
    output, rows = make_cnn_search(config, fresh=fresh)
    asked = [row for row in rows if row.kind == "classifier" and row.negatives == "all"]
    count = asked[0].figures["num_devices"]
    title = f"The winner: which of {count} devices? {asked[0].images} images"
    print_results(asked, CLASSIFIER_TABLE, title=title, folder=output.folder.uri)
    print_search(output.folder, again="train_cnn", figure="validation_patch_accuracy")


if __name__ == "__main__":
    main()
