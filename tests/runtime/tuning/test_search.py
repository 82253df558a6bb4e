"""A search on a real Ray: its draws, its trials, its winner."""

import json
from dataclasses import replace

import pytest

from camid.config import Search, Training, load_config
from camid.io.folder import Folder
from camid.io.output_layout import CHECKPOINT, SIAMESE
from camid.runtime.pipelines.workflow import make_evaluation, make_siamese_search
from camid.runtime.training.train import LEAST_CPUS, places, worker_cpus
from camid.training.checkpoint import checkpoint_parts
from camid.training.search_space import search_space
from camid.training.trials import read_trials

pytestmark = pytest.mark.usefixtures("ray_here")

NUM_TRIALS, STEPS = 3, 4
SPACE = (
    "search.space={training: {learning_rate: {choice: [0.01, 1e30]}, batch_size: {choice: [8, 16]"
    "}}, pairs: {num_images: {choice: [[4, 4], [[1, 4], 2]]}, crop_size: {choice: [64, 128]}}}"
)
SETTINGS = (
    *("split=seeded", "splits.test=0.34", "splits.validation=0.34"),
    *("training.micro_batches=4", f"training.num_steps={STEPS}", "training.validate_every=2"),
    *("training.validation_pairs=16", "training.warmup_steps=0", "training.schedule=constant"),
    *("comparisons.num_pairs=24", "comparisons.num_crops=[1]", "evaluate.methods=[lukas]"),
    *(f"search.num_trials={NUM_TRIALS}", "search.grace_steps=2", "search.reduction=2", SPACE),
)
FAILS = 1e30


def configured(made, out, *settings):
    config = made.config(*SETTINGS, *settings)
    return replace(config, paths=replace(config.paths, data="", out=str(out)))


@pytest.fixture(scope="module")
def found(made, tmp_path_factory, tracked_home):
    """The folder of a finished search, the rows of its winner, and its configuration."""
    home = tracked_home(tmp_path_factory.mktemp("search"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMID_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        config = configured(made, home / "out")
        output, rows = make_siamese_search(config)
    return home, output.folder, rows, config


@pytest.fixture
def at_home(found, monkeypatch):
    monkeypatch.setenv("CAMID_HOME", str(found[0]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return found


@pytest.mark.soak
def test_every_trial_ends_and_one_that_cannot_be_trained_says_why(found):
    trials = read_trials(found[1])
    assert [trial.number for trial in trials] == list(range(NUM_TRIALS))
    failed = {t.number for t in trials if t.values["training.learning_rate"] == FAILS}
    assert failed
    assert {trial.number for trial in trials if trial.state == "failed"} == failed
    for trial in trials:
        if trial.number in failed:
            assert "not finite" in trial.reason or "the loss of step" in trial.reason
        else:
            assert trial.state in {"finished", "stopped"}
            assert (trial.step == STEPS) == (trial.state == "finished")


@pytest.mark.soak
def test_a_trial_is_a_training_of_what_it_drew(found):
    _, folder, _, config = found
    for trial in read_trials(folder):
        place = folder / trial.name
        written = load_config(place.address("config.yaml"))
        assert written.training.batch_size == trial.values["training.batch_size"]
        assert written.pairs.crop_size == trial.values["pairs.crop_size"]
        assert (written.search, written.seed) == (Search(), config.seed)
        if trial.state == "finished":
            history = checkpoint_parts(place.read(CHECKPOINT))[1].history
            assert [row["step"] for row in history] == [0, 2, 4]
            assert trial.validations == history


@pytest.mark.soak
def test_the_winner_s_network_is_judged(at_home):
    _, folder, rows, _ = at_home
    told = json.loads(folder.read("search.json"))
    (trial,) = [t for t in read_trials(folder) if t.number == told["winner"]]
    assert folder.read(SIAMESE) == (folder / trial.name).read(SIAMESE)
    assert {row.method for row in rows} == {"lukas", "siamese"}


@pytest.mark.soak
def test_a_search_is_one_run_with_a_run_a_trial_below_it(at_home):
    from mlflow import MlflowClient

    home, folder, rows, _ = at_home
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name("camid").experiment_id
    (search,) = client.search_runs([experiment], "run_name = 'tune_siamese'")
    below = f"tags.mlflow.parentRunId = '{search.info.run_id}'"
    every = client.search_runs([experiment], below)
    runs = {int(run.data.tags["trial"]): run for run in every if "trial" in run.data.tags}
    judged = {run.data.tags["method"] for run in every if run.data.tags["what"] == "method"}
    assert judged == {row.method for row in rows}
    trials = read_trials(folder)
    assert sorted(runs) == [trial.number for trial in trials]
    for trial in trials:
        run = runs[trial.number]
        assert run.data.tags["state"] == trial.state
        points = client.get_metric_history(run.info.run_id, "validation/auc")
        assert [p.step for p in points] == [int(row["step"]) for row in trial.validations]
        size = str(trial.values["training.batch_size"])
        assert run.data.params["training.batch_size"] == size
    best = client.get_model_version_by_alias("siamese", "best")
    assert (
        int(client.get_run(best.run_id).data.tags["trial"]) == search.data.metrics["search/winner"]
    )
    assert "test/eer" in client.get_run(best.run_id).data.metrics


@pytest.mark.soak
def test_the_registered_winner_is_judged_by_its_name(at_home, tmp_path):
    _, _, rows, config = at_home
    plain = replace(
        config, search=Search(), paths=replace(config.paths, out=str(tmp_path / "judged"))
    )
    networks = replace(config.evaluate, methods=(), networks=("models:/siamese@best",))
    _, judged = make_evaluation(replace(plain, evaluate=networks))
    assert {row.method for row in judged} == {"siamese-1"}
    assert eers(judged) == eers(row for row in rows if row.method == "siamese")
    for absent in ("siamese@worst", "siamese/7", "nobody@best"):
        named = replace(networks, networks=(f"models:/{absent}",))
        with pytest.raises(ValueError, match=f"models:/{absent}: no such model in MLflow's reg"):
            make_evaluation(replace(plain, evaluate=named))


def eers(rows):
    return [row.figures["eer"] for row in rows]


def draws(config, known=(), **changes):
    from camid.runtime.tuning.search_algorithm import Draws

    begun = []
    settings = replace(config.search, **changes)
    searcher = Draws(
        search_space(config, searched=("training", "pairs")),
        known,
        settings=settings,
        seed=config.seed,
        begin=begun.append,
        places=lambda: 99,
    )
    told = [searcher.suggest(f"trial {n}") for n in range(settings.num_trials)]
    assert searcher.suggest("one more") == searcher.FINISHED
    return told, begun


WIDE = (
    "search.space={training: {learning_rate: {loguniform: [1e-4, 1e-2]}, warmup_steps: {randint:"
    " [1, 9]}, weight_decay: {quniform: [0, 1, 0.25]}}, pairs: {num_images: {choice: [[4, 4], 3]}}}"
).replace("3]}", "[2, 3]]}")


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
def test_equal_seeds_draw_equal_trials_and_a_longer_search_begins_with_a_shorter(algorithm):
    config = load_config(settings=[WIDE])
    longer, begun = draws(config, num_trials=8, algorithm=algorithm)
    shorter, _ = draws(config, num_trials=3, algorithm=algorithm)
    assert longer[:3] == shorter
    assert [trial.number for trial in begun] == list(range(8))
    other, _ = draws(replace(config, seed=2), num_trials=8, algorithm=algorithm)
    assert other != longer
    for one in longer:
        values = one["values"]
        assert 1e-4 <= values["training.learning_rate"] <= 1e-2
        assert type(values["training.warmup_steps"]) is int
        assert values["training.weight_decay"] in {0, 0.25, 0.5, 0.75, 1}
        assert values["pairs.num_images"] in ([4, 4], [2, 3])
    assert len({one["values"]["training.learning_rate"] for one in longer}) == 8


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
def test_trials_of_an_earlier_run_keep_what_they_drew(algorithm):
    config = load_config(settings=[WIDE])
    _, begun = draws(config, num_trials=4, algorithm=algorithm)
    known = [replace(begun[0], state="stopped"), begun[1]]
    told, begun_now = draws(config, known, num_trials=4, algorithm=algorithm)
    assert [one["values"] for one in told[:2]] == [trial.values for trial in known]
    assert [one["has_ended"] for one in told] == [True, False, False, False]
    assert [trial.number for trial in begun_now] == [2, 3]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("trainings", [1, 2, 3])
@pytest.mark.parametrize("there", [[2], [3, 3], [16], [0, 4, 4]])
def test_all_workers_of_all_trials_have_a_place(workers, trainings, there):
    training = Training(num_workers=workers)
    nodes = [{"CPU": float(count)} for count in there]
    cpus = worker_cpus(training, nodes, num_trainings=trainings)
    most = places(training, nodes, LEAST_CPUS + training.feed_cpus)
    assert places(training, nodes, cpus) >= min(workers * trainings, most)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["search.space={comparisons: {num_pairs: {choice: [9]}}}"], "held to one measure"),
        (
            ["search.grace_steps=9"],
            f"search.grace_steps = 9: more than training.num_steps = {STEPS}",
        ),
        (
            ["search.space.training.batch_size.choice=[8, 12]"],
            r"batch_size: 12: training.batch_size = 12: no multiple of twice",
        ),
        (
            ["search.space.pairs.crop_size.choice=[48]"],
            "crop_size: 48: .*networks are judged on crops of 128 px",
        ),
        (["search.space.paths={store: {choice: [/nowhere]}}"], "no strip store there"),
    ],
)
def test_a_search_that_cannot_work_is_one_sentence_before_any_trial(
    made, home, tmp_path, settings, sentence
):
    with pytest.raises(ValueError, match=sentence):
        make_siamese_search(configured(made, tmp_path / "out", *settings))
    assert not (tmp_path / "out/trials").exists() or not read_trials(Folder(str(tmp_path / "out")))
