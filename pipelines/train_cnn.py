"""Strip store → classifier of its devices, judged: ``python pipelines/train_cnn.py``."""

from camid.cli.pipeline import CLOSED_SET, EVALUATION, pipeline, print_results, print_table
from camid.config import Config
from camid.evaluation.report.facts import BY_IMAGE
from camid.runtime.pipelines.workflow import make_cnn


@pipeline("train_cnn", "training.batch_size=256")
def main(config: Config, *, fresh: bool) -> None:
    """Train the classifier of patches; judge it beside other methods, of the same photographs."""
    output, rows = make_cnn(config, fresh=fresh)
    asked = [row for row in rows if row["split"] == BY_IMAGE and row["negatives"] == "all"]
    title = f"Which of {asked[0]['num_devices']} devices? {asked[0]['images']} images"
    if compared := [row for row in rows if row["split"] != BY_IMAGE]:
        what = f"{compared[0]['images']} images, crops of {compared[0]['crop_size']} px"
        print_table(compared, title=f"Other devices, compared: {what}", columns=EVALUATION)
    print_results(asked, title=title, folder=output.folder.uri, columns=CLOSED_SET)


if __name__ == "__main__":
    main()
