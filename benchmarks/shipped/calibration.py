"""What camid ships: ``python -m benchmarks.shipped.calibration NETWORK.keras OUT``.

Cameras of any kind are simulated twice. Comparisons of the first ones give the likelihood layer its
prior, by maximum likelihood of the positives, and the deviation of strangers of two models; those
of the others, which nothing was fitted to, give the fusion of the classical score with the
network's. OUT gets ``pairnet.npz``, ``fusion.json`` and ``verification.json``, the scores that
the fusion gave.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from camid.casework.reference_population import VERIFICATION_FILE, Reference, quantiles
from camid.cli.errors import one_sentence
from camid.cli.pipeline import print_lines
from camid.comparison.comparison_list import write_list
from camid.comparison.draw_list import drawn_list
from camid.comparison.methods import chosen_methods
from camid.comparison.methods.pairnet import SHIPPED_FILE as NETWORK
from camid.comparison.networks.files import network_bytes, read_network
from camid.comparison.networks.pairnet import weights_of
from camid.comparison.networks.pairnet_numpy import (
    SLACK,
    STRENGTHS,
    likelihood_terms,
    weights_bytes,
)
from camid.comparison.sufficient_statistics import scores
from camid.config import Config, load_config
from camid.evaluation.fusion import SHIPPED_FILE, logistic_fusion
from camid.evaluation.labels import Compared
from camid.evaluation.results import compared_in
from camid.io.folder import Folder, absolute
from camid.io.output_layout import LIST
from camid.runtime.cluster.session import session
from camid.runtime.ingest.ensure_store import make_store
from camid.runtime.ingest.simulate import simulate
from camid.runtime.scoring.collect import gather
from camid.store.store import open_store

Array = NDArray[np.float64]


class Told(NamedTuple):
    """A list's comparisons at one number of crops."""

    whom: Compared
    models: NDArray[np.bool_]
    """Whether the two devices are of one model."""
    scores: dict[str, Array]
    """By method ``(comparison,)``."""
    sums: dict[str, Array]
    """By method ``(comparison, number)``."""


CONDITIONS = {
    "4+4": ["num_images=[4,4]", "crop_size=128", "num_crops=[1,4]"],
    "2+2": ["num_images=[2,2]", "crop_size=128", "num_crops=[1,4]"],
    "1+1": ["num_images=[1,1]", "crop_size=128", "num_crops=[1,4]"],
    "1+1 whole": ["num_images=[1,1]", "crop_size=0"],
}
"""No crop overlaps another: photographs have as many strips as crops are compared."""
SIMULATED = [
    *("cameras=any", "num_devices=60", "num_models=30", "num_background=4", "num_foreground=9"),
    *("sizes=[[512,512]]", "portraits=0", "pattern_spread=0.8"),
]
FITTED, FUSED = 31, 32
"""Seeds of the two sets of cameras."""
RIDGE = 1e-4
MADE_OF = (
    "simulated cameras of 30 models, two of each, with 13 photographs of 512×512 px each; "
    "1+1, 2+2 and 4+4 images"
)


def config_of(seed: int, condition: str, work: Folder) -> Config:
    """Return the configuration of one set of cameras and one list of their comparisons."""
    listed = ["num_pairs=1200", "same_model=0.5", *CONDITIONS[condition]]
    given = [f"simulate.{s}" for s in SIMULATED] + [f"comparisons.{s}" for s in listed]
    config = load_config(settings=[f"seed={seed}", *given])
    folder = work / f"cameras-{seed}"
    paths = replace(config.paths, data=(folder / "photographs").uri, store=(folder / "store").uri)
    return replace(config, paths=paths)


def gathered(seed: int, network: str, work: Folder, *, names: Sequence[str]) -> list[Told]:
    """Return what is told of the lists' comparisons, for each number of crops."""
    found = []
    for number, condition in enumerate(CONDITIONS):
        config = config_of(seed, condition, work)
        if not number:
            simulate(Folder(config.paths.data), config.simulate, seed=seed)
            print_lines(make_store(config).lines(config.paths.store))
        store = open_store(config.paths.store)
        how = {"settings": config.comparisons, "strips": config.strips, "seed": seed}
        listed = drawn_list(store.images(), **how)  # type: ignore[arg-type]
        folder = work / f"cameras-{seed}/list-{number}"
        write_list(folder, LIST, listed)
        num_crops = config.comparisons.num_crops if listed.crop_size else ()
        evidence, _ = gather(store, listed, folder, names, networks=[network], num_crops=num_crops)
        every = scores(evidence, chosen_methods(names, [network]))
        for column in range(len(num_crops) or 1):
            found.append(
                Told(
                    whom=compared_in(listed),
                    models=np.array([pair.level == "same-model" for pair in listed.comparisons]),
                    scores={name: values[:, column] for name, values in every.items()},
                    sums={name: values[:, column, :-1] for name, values in evidence.sums.items()},
                )
            )
    return found


def prior(sums: Array, *, deviation: float) -> Array:
    """Return the likelihood layer's prior ``(3, strength)`` that positives' sums make likeliest."""
    power, gains = likelihood_terms(sums, deviation=deviation)

    def cost(flat: Array) -> tuple[float, Array]:
        chosen = flat.reshape(3, -1)
        log_prior = log_softmax(power @ chosen, axis=-1)
        total = logsumexp(log_prior + gains, axis=-1)
        after = np.exp(log_prior + gains - total[:, None])
        slope = -power.T @ (after - np.exp(log_prior)) / len(sums) + 2 * RIDGE * chosen
        return float(RIDGE * (chosen**2).sum() - total.mean()), slope.ravel()

    start = np.zeros(3 * len(STRENGTHS))
    found = minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    return np.asarray(found.reshape(3, -1))


@click.command(help=__doc__)
@click.argument("network")
@click.argument("out")
@click.option("--work", help="Working folder, kept, so that a later run goes on in it.")
def main(network: str, out: str, *, work: str | None) -> None:
    with one_sentence(), ExitStack() as stack:
        folder = Folder(absolute(work or stack.enter_context(tempfile.TemporaryDirectory())))
        os.environ["CAMID_HOME"] = folder.uri
        stack.enter_context(session())
        name = "evidence"
        trained = read_network(*Folder.at(absolute(network)))
        (folder / "first").write(f"{name}.keras", network_bytes(trained))
        first = gathered(FITTED, (folder / "first").address(f"{name}.keras"), folder, names=())
        sums = np.concatenate([told.sums[name] for told in first])
        labels = np.concatenate([told.whom.labels for told in first])
        models = np.concatenate([told.models for told in first])
        is_compared = sums[:, 1] > 0
        strangers = sums[is_compared & (labels == 0) & ~models]
        positives = sums[is_compared & (labels == 1)]
        deviation = float((strangers[:, 0] / np.sqrt(strangers[:, 1] + SLACK)).std())
        raw = np.log(np.expm1(max(deviation - 1, 1e-3))) + 2
        weights = prior(positives, deviation=deviation)
        trained.get_layer("likelihood").set_weights([weights, np.float32(raw)])
        target = Folder(absolute(out))
        target.write(NETWORK, weights_bytes(weights_of(trained)))
        print_lines([f"strangers deviate by {deviation:.2f}"])
        (folder / "second").write("shipped.keras", network_bytes(trained))
        address = (folder / "second").address("shipped.keras")
        names = ("classical", "shipped")
        second = gathered(FUSED, address, folder, names=names[:1])
        columns = [np.stack([told.scores[name] for name in names], -1) for told in second]
        values, whom = np.concatenate(columns), [told.whom for told in second]
        are_scored = np.asarray(np.isfinite(values).all(axis=1))
        together = Compared(
            labels=np.concatenate([some.labels for some in whom]),
            first=np.concatenate([some.first for some in whom]),
            second=np.concatenate([some.second for some in whom]),
        ).where(are_scored)
        values = values[are_scored]
        made = logistic_fusion(together, values, methods=("classical", "pairnet"))
        target.write(SHIPPED_FILE, (json.dumps(made.facts(), indent=2) + "\n").encode())
        llrs, are_same = made.unbounded().llr(values), together.labels == 1
        told = Reference(
            made_of=MADE_OF,
            num_devices=config_of(FUSED, "4+4", folder).simulate.num_devices,
            num_positives=int(are_same.sum()),
            num_negatives=int((~are_same).sum()),
            positives=quantiles(llrs[are_same]),
            negatives=quantiles(llrs[~are_same]),
        )
        target.write(VERIFICATION_FILE, (json.dumps(told.facts(), indent=1) + "\n").encode())
        print_lines([str(made)])


if __name__ == "__main__":
    main()
