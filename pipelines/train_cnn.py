"""Strip store → classifier of its devices, judged: ``python pipelines/train_cnn.py``."""

from camid.cli.pipeline import pipeline, print_results, print_rows
from camid.config import Config
from camid.evaluation.columns import CLASSIFIER_TABLE, LIST_TABLE
from camid.runtime.pipelines.workflow import make_cnn


@pipeline("train_cnn", "training.batch_size=256")
def main(config: Config, *, fresh: bool) -> None:
    """Train the classifier of patches; judge it beside other methods, of the same photographs."""
    output, rows = make_cnn(config, fresh=fresh)
    asked = [row for row in rows if row.kind == "classifier" and row.negatives == "all"]
    title = f"Which of {asked[0].figures['num_devices']} devices? {asked[0].images} images"
    if compared := [row for row in rows if row.kind != "classifier"]:
        what = f"{compared[0].images} images, crops of {compared[0].crop_size} px"
        print_rows(compared, LIST_TABLE, title=f"Other devices, compared: {what}")
    print_results(asked, CLASSIFIER_TABLE, title=title, folder=output.folder.uri)


if __name__ == "__main__":
    main()
