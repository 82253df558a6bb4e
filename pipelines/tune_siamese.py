"""Strip store → the best of many networks of pairs: ``python pipelines/tune_siamese.py``."""

from pathlib import Path

from camid.cli.pipeline import pipeline, print_results, print_search
from camid.config import Config
from camid.evaluation.columns import LIST_TABLE
from camid.runtime.pipelines.workflow import make_siamese_search

FILE = Path(__file__).resolve().parents[1] / "tune_configs/siamese.yaml"


@pipeline("tune_siamese", file=str(FILE))
def main(config: Config, *, fresh: bool) -> None:
    """Search for the Siamese network that validates best; judge it beside other methods, once."""
    output, rows = make_siamese_search(config, fresh=fresh)
    title = f"The winner: {rows[0].images} images, crops of {rows[0].crop_size} px"
    print_results(rows, LIST_TABLE, title=title, folder=output.folder.uri)
    print_search(output.folder, again="train_siamese", figure="validation_auc")


if __name__ == "__main__":
    main()
