"""Checks of settings against one another, before any work."""

from camid.comparison.methods import chosen_methods
from camid.comparison.methods.networks import network_name
from camid.config import Config, Evaluate
from camid.evaluation.fusion import FUSED
from camid.io.folder import Folder
from camid.runtime.scoring.prepare_list import DRAWN, GALLERY, GALLERY_CROPS
from camid.store.make_chunk import smallest_side
from camid.training.batches import check_batches
from camid.training.pair_task import PairTask
from camid.training.tasks import Task


def check_settings(
    config: Config, evaluate: Evaluate, *, trained: type[Task] | None = None
) -> None:
    """Raise if a pipeline's settings cannot work together, whatever its photographs are.

    Parameters
    ----------
    config
        Configuration with the sections that a finished store decides.
    evaluate
        Comparisons and methods.
    trained
        Task that is trained and then judged beside the methods.

    Raises
    ------
    ValueError
        With the name of the first invalid setting.
    """
    smallest_side(config)
    if not chosen_methods(evaluate.methods, evaluate.networks) and trained is None:
        raise ValueError("nothing to judge by: name evaluate.methods or evaluate.networks")
    for address in evaluate.networks:
        if network_name(address) == FUSED:
            raise ValueError(
                f"a network's file cannot be called {FUSED!r}: evaluate.fused is; rename it"
            )
        folder, name = Folder.at(address)
        if not folder.exists(name):
            raise ValueError(f"{address}: no such network")
    if evaluate.comparisons not in {DRAWN, GALLERY, GALLERY_CROPS}:
        folder, name = Folder.at(evaluate.comparisons)
        if not folder.exists(name):
            raise ValueError(f"{evaluate.comparisons}: no such comparison list")
    crop_size = config.comparisons.crop_size
    if evaluate.comparisons in {DRAWN, GALLERY_CROPS} and crop_size > config.strips.size:
        raise ValueError(
            f"comparisons.crop_size = {crop_size}: larger than the strips of "
            f"{config.strips.size} px"
        )
    if trained is not None:
        check_batches(config.training, multiple=trained.multiple)
        if issubclass(trained, PairTask) and evaluate.comparisons == DRAWN:
            pair_size = crop_size or config.strips.size
            trained.check_settings(config, size=pair_size, source="the section comparisons")
