"""Strip store → methods on one comparison list: ``python pipelines/evaluate.py``."""

from camid.cli.pipeline import EVALUATION, pipeline, print_results
from camid.config import Config
from camid.runtime.pipelines.workflow import make_evaluation


@pipeline("evaluate")
def main(config: Config, *, fresh: bool) -> None:
    """Score one comparison list with some methods; print error rates and their intervals."""
    output, rows = make_evaluation(config, fresh=fresh)
    size = rows[0]["crop_size"]
    crops = "whole strips" if size == "whole" else f"crops of {size} px"
    title = f"{rows[0]['images']} images, {crops}"
    print_results(rows, title=title, folder=output.folder.uri, columns=EVALUATION)


if __name__ == "__main__":
    main()
