"""Strip store → a pair network of one's own, judged: ``python pipelines/train_pairnet.py``."""

from camid.cli.pipeline import pipeline, print_results
from camid.config import Config
from camid.evaluation.columns import LIST_TABLE
from camid.runtime.pipelines.workflow import make_pairnet


@pipeline("train_pairnet", "split=seeded")
def main(config: Config, *, fresh: bool) -> None:
    """Train the pair network on devices that are not tested; judge it beside other methods."""
    output, rows = make_pairnet(config, fresh=fresh)
    title = f"{rows[0].images} images, crops of {rows[0].crop_size} px"
    print_results(rows, LIST_TABLE, title=title, folder=output.folder.uri)


if __name__ == "__main__":
    main()
