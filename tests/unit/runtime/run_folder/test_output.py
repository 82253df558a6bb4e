import subprocess
import sys
from dataclasses import replace

import pytest

from camid.config import load_config
from camid.evaluation.result_rows import ResultRow
from camid.runtime.run_folder.output import claimed, output_lock


def config(out, *settings):
    return load_config(settings=[f"paths.out={out}", *settings])


def test_a_folder_is_claimed_once_and_gone_on_with(tmp_path):
    first = claimed(config(tmp_path / "out"), fresh=False, inputs={"digest": "a"})
    row = ResultRow(
        kind="pairs",
        method="lukas",
        images="4+4",
        crop_size=128,
        num_crops=None,
        negatives="all",
        split="all",
        figures={"eer": 0.1, "num_positives": 3},
        part="siamese",
    )
    bare = replace(row, images="", part="", crop_size=None)
    first.finish([row, bare])
    again = claimed(config(tmp_path / "out"), fresh=False, inputs={"digest": "a"})
    assert again.is_finished
    assert again.rows() == [row, bare]


@pytest.mark.parametrize(
    ("settings", "inputs", "difference"),
    [
        (["enhancer.alpha=3"], {"digest": "a"}, "enhancer.alpha was 7.0, now 3.0"),
        ([], {"digest": "b"}, "digest was 'a', now 'b'"),
    ],
)
def test_another_configuration_or_input_is_named_and_fresh_replaces_it(
    tmp_path, settings, inputs, difference
):
    claimed(config(tmp_path / "out"), fresh=False, inputs={"digest": "a"}).finish([])
    other = config(tmp_path / "out", *settings)
    with pytest.raises(ValueError, match=f"{difference}.*--fresh"):
        claimed(other, fresh=False, inputs=inputs)
    assert not claimed(other, fresh=True, inputs=inputs).is_finished
    assert not claimed(other, fresh=False, inputs=inputs).is_finished


def test_what_a_run_is_made_with_may_change_until_it_is_finished(tmp_path):
    claimed(config(tmp_path / "out"), fresh=False).folder.write("training/checkpoint.npz", b"mine")
    more = config(tmp_path / "out", "training.num_workers=2", "training.feed_workers=3")
    output = claimed(more, fresh=False)
    assert output.folder.read("training/checkpoint.npz") == b"mine"
    assert "num_workers: 2" in output.folder.read("config.yaml").decode()
    with pytest.raises(
        ValueError, match=r"made with different settings \(training.num_steps was 2000, now 3\)"
    ):
        claimed(config(tmp_path / "out", "training.num_steps=3"), fresh=False)
    output.finish([])
    assert claimed(config(tmp_path / "out"), fresh=False).is_finished
    assert "num_workers: 2" in output.folder.read("config.yaml").decode()


def test_fresh_deletes_what_pipelines_write_and_nothing_else(tmp_path):
    output = claimed(config(tmp_path), fresh=False)
    output.folder.write("patterns/device=1.parquet", b"ours")
    output.folder.write("figures/roc.png", b"ours")
    output.folder.write("store/store.json", b"ours, but not of this pipeline")
    for name in ("report.html", "data.json", "stages.csv", "training/checkpoint.npz"):
        output.folder.write(name, b"ours")
    output.folder.write("thesis.tex", b"mine")
    claimed(config(tmp_path), fresh=True)
    kept = {"config.yaml", "inputs.json", "store/store.json", "thesis.tex"}
    assert set(output.folder.files()) == kept
    claimed(config(tmp_path), fresh=True, parts=("store",))
    assert set(output.folder.files()) == kept - {"store/store.json"}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("text", ["mine: 1", "- 1", "[", ""])
def test_a_folder_of_others_is_never_touched(tmp_path, fresh, text):
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "results.json").write_text("mine")
    with pytest.raises(ValueError, match="is none of camid's; name another with --out"):
        claimed(config(tmp_path), fresh=fresh)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(ValueError, match="holds files of others"):
        claimed(config(tmp_path), fresh=fresh)
    assert (tmp_path / "results.json").read_text() == "mine"


def test_a_file_is_no_output_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    config = load_config(settings=[f"paths.out={tmp_path / 'out'}"])
    with pytest.raises(ValueError, match="is a file; name a folder with --out"):
        claimed(config, fresh=False)


@pytest.mark.parametrize("left", ["inputs.json", "inputs.json.0f.part", "config.yaml.0f.part"])
def test_a_folder_that_a_full_disk_left_in_its_first_file_is_claimed(tmp_path, left):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / left).write_bytes(b"")
    with output_lock(config(tmp_path / "out")):
        claimed(config(tmp_path / "out"), fresh=False).finish([])
    assert claimed(config(tmp_path / "out"), fresh=False).is_finished


@pytest.mark.parametrize("stranger", ["notes.txt", "thesis.part", "inputs/a.txt", "config.yml"])
def test_a_folder_with_files_of_others_is_not_claimed(tmp_path, stranger):
    (tmp_path / "out" / stranger).parent.mkdir(parents=True)
    (tmp_path / "out" / stranger).write_bytes(b"mine")
    for fresh in (False, True):
        with pytest.raises(ValueError, match="holds files of others"):
            claimed(config(tmp_path / "out"), fresh=fresh)
    assert (tmp_path / "out" / stranger).read_bytes() == b"mine"


HOLDER = """
import sys, time
from camid.config import load_config
from camid.runtime.run_folder.output import output_lock

with output_lock(load_config(settings=[f"paths.out={sys.argv[1]}"])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_run_at_a_time_writes_an_output_and_a_dead_one_s_lock_is_free(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(ValueError, match="another run is writing these results; wait for it"),
            output_lock(config(tmp_path / "out")),
        ):
            pass
        other.kill()
    with output_lock(config(tmp_path / "out")):
        pass
