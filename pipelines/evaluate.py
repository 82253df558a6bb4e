"""Strip store → methods on one comparison list: ``python pipelines/evaluate.py``."""

from camid.cli.pipeline import pipeline, print_results
from camid.config import Config
from camid.evaluation.columns import LIST_TABLE
from camid.runtime.pipelines.workflow import make_evaluation


@pipeline("evaluate")
def main(config: Config, *, fresh: bool) -> None:
    """Score one comparison list with some methods; print error rates and their intervals."""
    output, rows = make_evaluation(config, fresh=fresh)
    size = rows[0].crop_size
    crops = f"crops of {size} px" if size else "whole strips"
    title = f"{rows[0].images} images, {crops}"
    print_results(rows, LIST_TABLE, title=title, folder=output.folder.uri)


if __name__ == "__main__":
    main()
