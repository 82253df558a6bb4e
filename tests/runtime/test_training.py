"""Training on a real Ray: any number of workers, from any checkpoint, to the same network."""

import numpy as np
import pytest

from camid.checkpoints import checkpoint_parts
from camid.config import Training
from camid.folder import Folder
from camid.runtime.feed import Source
from camid.runtime.output import CHECKPOINT, NETWORK
from camid.runtime.train import train, worker_cpus
from camid.splits import named_split
from camid.store import open_store

SETTINGS = (
    *("split=seeded", "splits.test=0.34", "splits.validation=0.34"),
    *("pairs.crop_size=64", "training.batch_size=16", "training.micro_batches=4"),
    *("training.validate_every=4", "training.validation_pairs=24", "training.warmup_steps=0"),
    *("training.learning_rate=0.01", "training.schedule=constant", "training.max_failures=0"),
)


def source(made, *settings):
    config = made.config(*SETTINGS, *settings)
    store = open_store(config.paths.store)
    split = named_split(config.split, store.images(), settings=config.splits, seed=config.seed)
    return Source(config=config, store=config.paths.store, split=split)


def history(folder):
    return checkpoint_parts(folder.read(CHECKPOINT))[1].history


def trained(made, folder, *settings):
    """Train into a folder; return the rows that were told and the history."""
    told = []
    folder.make()
    train(source(made, *settings), folder, network=NETWORK, tell=told.append)
    return told, history(folder)


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """The folder of a training of eight steps by one worker, and what it told."""
    folder = Folder(str(tmp_path_factory.mktemp("whole")))
    told, _ = trained(made, folder, "training.num_steps=8")
    return folder, told


def curve(rows, figure):
    return {row["step"]: row[figure] for row in rows if figure in row}


@pytest.mark.usefixtures("ray_here")
def test_a_training_takes_all_its_steps_and_tells_of_each_validation(whole):
    folder, told = whole
    rows = history(folder)
    assert [row["step"] for row in rows] == [0, 4, 8]
    assert all(0 <= row["validation_auc"] <= 1 for row in rows)
    assert all(row["pairs_per_second"] > 0 and 0 <= row["waited"] <= 1 for row in rows[1:])
    assert [row for row in told if "validation_auc" in row] == rows
    assert sorted(folder.files()) == [NETWORK, CHECKPOINT]


@pytest.mark.usefixtures("ray_here")
def test_two_workers_and_then_one_follow_the_curves_of_one_that_was_not_stopped(
    whole, made, tmp_path, capfd
):
    folder = Folder(str(tmp_path / "halves"))
    trained(made, folder, "training.num_steps=4", "training.num_workers=2")
    _, rows = trained(made, folder, "training.num_steps=8")
    assert "training goes on at step 4 of 8" in " ".join(capfd.readouterr().err.split())
    for figure in ("loss", "validation_auc"):
        one, two = curve(history(whole[0]), figure), curve(rows, figure)
        assert one.keys() == two.keys()
        np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-3)
    trained(made, folder, "training.num_steps=8")
    assert "training was finished at step 8 of 8" in " ".join(capfd.readouterr().err.split())


@pytest.mark.usefixtures("ray_here")
def test_a_split_that_trains_on_nothing_is_one_sentence(made, tmp_path):
    told = source(made, "split=all")
    with pytest.raises(ValueError, match="the split 'all' leaves no device for train"):
        train(told, Folder(str(tmp_path)), network=NETWORK)


@pytest.mark.usefixtures("ray_here")
def test_too_few_images_are_one_sentence_before_a_worker_starts(made, tmp_path):
    told = source(made, "pairs.num_images=[[1,13],4]")
    with pytest.raises(ValueError, match=r"train of the split 'seeded': .* pairs of 13\+4 images"):
        train(told, Folder(str(tmp_path)), network=NETWORK)


@pytest.mark.usefixtures("ray_here")
def test_too_few_processors_are_one_sentence_at_once(made, tmp_path):
    told = source(made, "training.num_workers=4", "training.worker_cpus=1.0")
    with pytest.raises(ValueError, match=r"take 5 CPUs, and Ray has 2; lower training\.num_work"):
        train(told, Folder(str(tmp_path)), network=NETWORK)
    cards = source(made, "training.use_gpu=true")
    with pytest.raises(ValueError, match="1 workers take a GPU each, and Ray has 0"):
        train(cards, Folder(str(tmp_path)), network=NETWORK)


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("there", [2, 8, 64])
def test_workers_and_feeds_take_no_more_than_there_is(workers, there):
    training = Training(num_workers=workers, micro_batches=8)
    cpus = worker_cpus(training, {"CPU": float(there)})
    assert cpus > 0
    assert workers * (cpus + training.feed_workers * training.feed_cpus) <= there + 1e-6
    assert cpus < 1 or cpus == int(cpus)  # Ray grants whole processors, or parts of one
