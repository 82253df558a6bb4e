"""Training on a real Ray: any number of workers, from any checkpoint, to the same network."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from camid.config import Training
from camid.dataset.splits import named_split
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT, CNN, PAIRNET, SIAMESE
from camid.runtime.training.feed import fed
from camid.runtime.training.train import _trainer, train, worker_cpus
from camid.runtime.training.worker import BackgroundWriter, _spans, _Worker
from camid.store.store import open_store
from camid.training.checkpoint import Progress, checkpoint_parts
from camid.training.pair_task import PairTask
from camid.training.pairnet_task import StackTask
from camid.training.patch_task import PatchTask
from tests.reference.training import plain_history

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
    return PairTask(config=config, store=config.paths.store, split=split)


def history(folder):
    return checkpoint_parts(folder.read(CHECKPOINT))[1].history


def trained(made, folder, *settings):
    """Train into a folder; return the rows that were told and the history."""
    told = []
    folder.make()
    train(source(made, *settings), folder, tell=told.append)
    return told, history(folder)


def curve(rows, figure):
    return {row["step"]: row[figure] for row in rows if figure in row}


def check_alike(rows, plain, *figures, **within):
    """See that a training's curves are those of the plain one."""
    for figure in figures:
        one, other = curve(rows, figure), curve(plain, figure)
        assert one.keys() == other.keys()
        np.testing.assert_allclose(list(one.values()), list(other.values()), **within)


@pytest.fixture(scope="module")
def whole(made, tmp_path_factory):
    """The folder of a training of one worker, and what it told."""
    folder = Folder(str(tmp_path_factory.mktemp("whole")))
    told, _ = trained(made, folder, "training.num_steps=8")
    return folder, told


@pytest.mark.soak
@pytest.mark.usefixtures("ray_here")
def test_a_training_takes_all_its_steps_and_tells_of_each_validation(whole):
    folder, told = whole
    rows = history(folder)
    assert [row["step"] for row in rows] == [0, 4, 8]
    assert all(0 <= row["validation_auc"] <= 1 for row in rows)
    assert all(row["pairs_per_second"] > 0 and 0 <= row["waited"] <= 1 for row in rows[1:])
    assert [row for row in told if "validation_auc" in row] == rows
    assert sorted(folder.files()) == [SIAMESE, CHECKPOINT]


@pytest.mark.soak
@pytest.mark.usefixtures("ray_here")
def test_a_training_follows_the_plain_loop_s_curves_and_takes_no_step_again(whole, made, capfd):
    folder, _ = whole
    plain = plain_history(source(made, "training.num_steps=8"))
    check_alike(history(folder), plain, "loss", "validation_auc", rtol=1e-3)
    trained(made, folder, "training.num_steps=8")
    assert "training was finished at step 8 of 8" in " ".join(capfd.readouterr().err.split())


STARTER = """
import sys
from camid.config import Training
from camid.io.folder import Folder
from camid.runtime.training.train import _trainer

_trainer(print, Folder(sys.argv[1]), Training(), cpus=1.0)
sys.exit("tensorflow" in sys.modules)
"""


def test_a_training_is_started_without_tensorflow(tmp_path):
    """It takes seconds and memory in the driver, in the controller and in each trial."""
    done = subprocess.run([sys.executable, "-c", STARTER, str(tmp_path)], check=False)
    assert done.returncode == 0


def test_only_the_cleaner_is_left_out_of_what_ray_s_trainer_begins_with(tmp_path):
    """Where Ray no longer has it, the class of :func:`_trainer` is not needed."""
    trainer = _trainer(print, Folder(str(tmp_path)), Training(), cpus=1.0)
    ours = [type(callback).__name__ for callback in trainer._create_default_callbacks()]
    usual = super(type(trainer), trainer)._create_default_callbacks()
    left_out = [name for one in usual if (name := type(one).__name__) not in ours]
    assert left_out == ["PlacementGroupCleanerCallback"]


PATCHES = (
    *("training.num_workers=2", "training.batch_size=32", "training.num_steps=8"),
    *("patches.size=32", "patches.validation_per_image=8", "classifier.num_devices=3"),
)


@pytest.mark.soak
@pytest.mark.usefixtures("ray_here")
def test_a_classifier_goes_through_the_same_loop_on_two_workers(made, tmp_path):
    task, told = classifying(made, *PATCHES), []
    folder = Folder(str(tmp_path))
    folder.make()
    train(task, folder, tell=told.append)
    assert sorted(folder.files()) == [CNN, CHECKPOINT]
    assert {"patches_per_second", "validation_patch_accuracy"} <= set(told[-1])
    rows, plain = history(folder), plain_history(task)
    check_alike(rows, plain, "loss", atol=1e-3)
    # By rounding a patch or two are taken for another's.
    check_alike(rows, plain, "validation_patch_accuracy", atol=0.05)


STACKS = (
    *("training.num_steps=2", "training.validate_every=2", "training.validation_pairs=16"),
    *("pairs.num_images=[[1,2],2]", "pairs.crop_size=32", "training.batch_size=8"),
    *("comparisons.num_images=[2,1]", "comparisons.crop_size=64", "pairnet.blocks=1"),
    *("pairnet.filters=4", "pairnet.channels=8", "pairnet.planes=2"),
)


@pytest.mark.soak
@pytest.mark.usefixtures("ray_here")
def test_two_workers_and_then_one_follow_the_curves_of_one_that_was_not_stopped(made, tmp_path):
    folder = Folder(str(tmp_path))
    folder.make()
    for settings in (["training.num_workers=2"], ["training.num_steps=4"]):
        of = source(made, *STACKS, *settings)
        task = StackTask(config=of.config, store=of.store, split=of.split)
        train(task, folder)
    assert sorted(folder.files()) == [PAIRNET, CHECKPOINT]
    assert [row["step"] for row in history(folder)] == [0, 2, 4]
    check_alike(history(folder), plain_history(task), "loss", "validation_auc", rtol=1e-3)


def classifying(made, *settings):
    of = source(made, "split=all", *settings)
    return PatchTask(config=of.config, store=of.store, split=of.split)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["patches.size=512"], "patches.size = 512: larger than the store's strips of 256 px"),
        (["training.batch_size=30"], "30: no multiple of training.micro_batches = 4"),
        (
            ["patches.validation_images=1", "training.num_workers=2"],
            "patches.validation_images = 1: only 1 parts for 2 workers; raise it",
        ),
        (["classifier.devices=[nobody]"], "classifier.devices: 'nobody' has no images for"),
    ],
)
def test_a_classifier_that_cannot_be_trained_is_one_sentence(made, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        classifying(made, *settings).check()


@pytest.mark.usefixtures("ray_here")
def test_a_split_that_trains_on_nothing_is_one_sentence(made, tmp_path):
    told = source(made, "split=all")
    with pytest.raises(ValueError, match="the split 'all' leaves no device for train"):
        train(told, Folder(str(tmp_path)))


@pytest.mark.usefixtures("ray_here")
def test_too_few_images_are_one_sentence_before_a_worker_starts(made, tmp_path):
    told = source(made, "pairs.num_images=[[1,13],4]")
    with pytest.raises(ValueError, match=r"train of the split 'seeded': .* pairs of 13\+4 images"):
        train(told, Folder(str(tmp_path)))


@pytest.mark.usefixtures("ray_here")
def test_too_few_processors_are_one_sentence_at_once(made, tmp_path):
    told = source(made, "training.num_workers=4", "training.worker_cpus=1.0")
    with pytest.raises(ValueError, match=r"take 1.25 CPUs each, and Ray's nodes have 2; lower"):
        train(told, Folder(str(tmp_path)))
    cards = source(made, "training.use_gpu=true")
    with pytest.raises(ValueError, match="1 workers take a GPU each, and Ray has 0"):
        train(cards, Folder(str(tmp_path)))


def test_what_is_read_ahead_has_a_place_in_every_object_store(made):
    task = source(made, "training.prefetch=10", "training.feed_workers=2")
    needed = 10 * 2 * 16 * 2 * 64 * 64 * 3 * 2
    task.check_object_stores([needed, 1e12])
    task.check_object_stores([])
    with pytest.raises(ValueError, match=r"20 steps of 16 pairs .* take 15.7 MB, and the smallest"):
        task.check_object_stores([1e12, needed - 1])


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("there", [[2], [8], [64], [1, 1, 1, 1, 1], [16, 4, 0], [3, 3]])
def test_all_workers_with_what_reads_for_them_have_a_place_on_some_node(workers, there):
    training = Training(num_workers=workers, micro_batches=8)
    cpus = worker_cpus(training, [{"CPU": float(count)} for count in there])
    assert cpus > training.least_readers * training.feed_cpus
    assert sum(int((count + 1e-9) // cpus) for count in there) >= workers


@pytest.mark.parametrize(("workers", "there"), [(8, [2]), (12, [2]), (3, [0.5, 0.5])])
def test_where_not_all_workers_have_a_place_fewer_do_if_they_may(workers, there):
    nodes = [{"CPU": float(count)} for count in there]
    training = Training(num_workers=workers, min_workers=1, micro_batches=16)
    assert 0 < worker_cpus(training, nodes) <= max(there)
    with pytest.raises(ValueError, match=f"{workers} workers, each with 1 processes that read"):
        worker_cpus(replace(training, min_workers=0), nodes)


def test_one_worker_takes_no_more_than_one_node_has():
    assert worker_cpus(Training(), [{"CPU": 16.0}, {"CPU": 4.0}]) == 16
    cards = Training(num_workers=2, use_gpu=True)
    assert worker_cpus(cards, [{"CPU": 16.0}, {"CPU": 8.0, "GPU": 2.0}]) == 4
    with pytest.raises(ValueError, match="2 workers take a GPU each, and Ray has 1"):
        worker_cpus(cards, [{"CPU": 16.0}, {"CPU": 8.0, "GPU": 1.0}])


@pytest.mark.soak
@pytest.mark.usefixtures("ray_here")
def test_what_would_be_wrong_again_is_one_sentence_and_not_repeated(made, tmp_path, capfd):
    wild = ("training.learning_rate=1e30", "training.max_failures=3", "training.num_steps=8")
    with pytest.raises(
        ValueError, match=r"the loss of step \d is nan; lower training.learning_rate"
    ):
        trained(made, Folder(str(tmp_path / "wild")), *wild)
    assert "workers start again" not in capfd.readouterr().err


@pytest.mark.soak
@pytest.mark.usefixtures("ray_here")
def test_a_training_that_dies_between_validations_goes_on_from_the_last_minutes(made, tmp_path):
    from camid.training.train_step import Learner, restore

    settings = ("training.num_steps=8", "training.validate_every=8")
    task = source(made, *settings, "training.checkpoint_minutes=1e-9")
    folder, every = Folder(str(tmp_path)), range(4)
    done, row = Progress(), {}
    for first, stop in ((0, 6), (5, 8)):  # the sixth step is lost
        learner = Learner(task.build, task.config.training, seed=task.config.seed)
        if first:
            done = restore(learner, folder.read(CHECKPOINT))
        assert (done.step, len(done.losses)) == (first, first)
        with fed(task, every, range(first, 8)) as feed, BackgroundWriter(folder) as writer:
            worker = _Worker(
                learner=learner, task=task, writer=writer, rank=0, validation=None, tell=print
            )
            row = worker.steps(range(first, stop), feed, done)
    plain = plain_history(source(made, *settings))
    assert row["loss"] == pytest.approx(plain[-1]["loss"], rel=1e-4)


@pytest.mark.parametrize("step", [0, 1, 4, 7, 8, 9])
def test_each_span_ends_at_the_next_validation_from_any_step(step):
    spans = list(_spans(step, Training(num_steps=10, validate_every=4)))
    assert [span.stop for span in spans] == [stop for stop in (4, 8, 10) if stop > step]
    assert [number for span in spans for number in span] == list(range(step, 10))


def test_as_many_read_for_a_worker_as_its_processors_and_memory_allow(made):
    task = source(made, "training.prefetch=2")
    step_bytes = 16 * 2 * 64 * 64 * 3 * 2
    assert task.most_readers([1e12], cpus=16) == 15
    assert task.most_readers([1e12, 13 * step_bytes], cpus=16) == 3
    assert task.most_readers([step_bytes], cpus=16) == 1
    assert task.most_readers([], cpus=0.5) == 1


def test_a_training_that_was_stopped_early_takes_no_further_step(made, tmp_path):
    worker = _Worker(
        learner=None,
        task=source(made, "training.num_steps=8"),
        writer=BackgroundWriter(Folder(str(tmp_path))),
        rank=0,
        validation=None,
        tell=print,
    )
    done = Progress(step=4, history=[{"step": 0}, {"step": 4}], is_stopped=True)
    worker.run(done, iter([]))
    assert done.step == 4
