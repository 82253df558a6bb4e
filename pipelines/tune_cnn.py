"""Strip store → the best of many classifiers of its devices: ``python pipelines/tune_cnn.py``."""

from pathlib import Path

from camid.cli.pipeline import CLOSED_SET, pipeline, print_results, print_search
from camid.config import Config
from camid.evaluation.report.facts import BY_IMAGE
from camid.runtime.pipelines.workflow import make_cnn_search

FILE = Path(__file__).resolve().parents[1] / "tune_configs/cnn.yaml"


@pipeline("tune_cnn", file=str(FILE))
def main(config: Config, *, fresh: bool) -> None:
    """Search for the classifier that validates best; judge it beside other methods, once."""
    output, rows = make_cnn_search(config, fresh=fresh)
    asked = [row for row in rows if row["split"] == BY_IMAGE and row["negatives"] == "all"]
    title = f"The winner: which of {asked[0]['num_devices']} devices? {asked[0]['images']} images"
    print_results(asked, title=title, folder=output.folder.uri, columns=CLOSED_SET)
    print_search(output.folder, again="train_cnn", figure="validation_patch_accuracy")


if __name__ == "__main__":
    main()
