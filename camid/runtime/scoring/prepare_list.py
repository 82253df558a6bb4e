"""The comparison list of an evaluation: read if it is named or kept, drawn otherwise."""

from dataclasses import asdict
from typing import Any

from camid.comparison.comparison_list import ComparisonList, read_list, write_list
from camid.comparison.draw_list import drawn_list, gallery_list
from camid.comparison.methods.networks import network_samples
from camid.config import Config, Evaluate
from camid.dataset.splits import Split, enrolled
from camid.io.csv_tables import write_csv
from camid.io.folder import Folder
from camid.io.output_layout import LEFT_OUT, LIST
from camid.runtime.run_folder.output import Output
from camid.store.store import Store, open_store

DRAWN, GALLERY, GALLERY_CROPS = "drawn", "gallery", "gallery-crops"
"""Values of ``evaluate.comparisons`` that do not name a file."""
SAMPLES = {"int8": "residuals", "uint8": "pixels"}
"""Kinds of a store's samples, by their type."""


def prepared_list(
    config: Config, output: Output, *, split: Split, evaluate: Evaluate | None = None
) -> ComparisonList:
    """Return the comparison list of an output folder, read or drawn if it has none.

    The list is kept in the folder, beside the images that a gallery leaves out.

    Parameters
    ----------
    evaluate
        Comparisons and methods, if not those of the configuration.

    Raises
    ------
    ValueError
        If a method cannot score the store's samples, the list is not there, or there is nothing to
        compare.
    """
    store, settings = open_store(config.paths.store), evaluate or config.evaluate
    _check_methods(store, settings)
    if output.folder.exists(LIST):
        return read_list(output.folder, LIST)
    if settings.comparisons in {DRAWN, GALLERY, GALLERY_CROPS}:
        listed = _drawn(config, output.folder, store, split, settings.comparisons)
    else:
        listed = read_list(*Folder.at(settings.comparisons))
    if not listed.comparisons:
        raise ValueError(f"{settings.comparisons}: a comparison list without comparisons")
    write_list(output.folder, LIST, listed)
    return listed


def _check_methods(store: Store, evaluate: Evaluate) -> None:
    """Raise if a method needs other samples than a store has."""
    dtype = store.description["samples"]["dtype"]
    if evaluate.methods and dtype != "int8":
        raise ValueError(
            f"{store.folder.uri}: holds pixels, and the methods {', '.join(evaluate.methods)} need "
            "a store of residuals; name another, or judge networks alone (evaluate.methods=[])"
        )
    for address in evaluate.networks:
        needed = network_samples(address)
        if needed not in {None, dtype}:
            raise ValueError(
                f"{address}: a network of {SAMPLES[needed or '']}, and {store.folder.uri} holds "
                f"{SAMPLES[dtype]}"
            )


def _drawn(config: Config, folder: Folder, store: Store, split: Split, kind: str) -> ComparisonList:
    """Return the list of a kind, drawn from the test images of a split."""
    images = split.images("test", store.images())
    options: dict[str, Any] = {"strips": config.strips, "seed": config.seed}
    if kind == DRAWN:
        return drawn_list(images, settings=config.comparisons, **options)
    if kind == GALLERY_CROPS:
        options["crop_size"] = config.comparisons.crop_size
        options["num_crops"] = config.comparisons.num_crops[-1]
    gallery = enrolled(images, settings=config.enrolment, seed=config.seed)
    left_out = [*split.left_out("test", store.images()), *gallery.left_out]
    if left_out:
        write_csv(folder, LEFT_OUT, [asdict(image) for image in left_out])
    return gallery_list(gallery, **options)
