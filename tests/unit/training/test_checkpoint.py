import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from camid.config import Training
from camid.training.checkpoint import Progress, checkpoint_bytes, checkpoint_parts

ROW = st.fixed_dictionaries(
    {"step": st.integers(0, 99), "validation_auc": st.floats(0, 1)},
    optional={"loss": st.floats(0, 9)},
)
PROGRESS = st.builds(
    Progress, step=st.integers(0, 2**40), history=st.lists(ROW), is_stopped=st.booleans()
)
DTYPES = st.sampled_from([np.float32, np.float64, np.int64, np.uint32])
ARRAYS = DTYPES.flatmap(lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_side=4)))
AUCS = st.lists(st.integers(0, 4), max_size=12)


def history(aucs):
    return [{"step": number, "validation_auc": auc / 4} for number, auc in enumerate(aucs)]


def stored(**named):
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


@given(st.lists(ARRAYS, max_size=12), PROGRESS)
def test_arrays_and_progress_come_back_in_order(given_arrays, progress):
    found, again = checkpoint_parts(checkpoint_bytes(given_arrays, progress))
    assert again == progress
    assert len(found) == len(given_arrays)
    for one, other in zip(found, given_arrays, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, strict=True)


def test_many_arrays_stay_in_order():
    found, _ = checkpoint_parts(checkpoint_bytes([np.array(n) for n in range(120)], Progress()))
    assert [int(array) for array in found] == list(range(120))


@pytest.mark.parametrize("mask", [1, 64])
def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(mask):
    arrays_there = [np.arange(3, dtype=np.float32), np.arange(3, 6, dtype=np.float32)]
    progress = Progress(step=3, history=history([1, 2]))
    data = checkpoint_bytes(arrays_there, progress)
    refused = 0
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= mask
        try:
            found, told = checkpoint_parts(bytes(damaged))
        except ValueError:
            refused += 1
            continue
        assert told == progress
        np.testing.assert_array_equal(found, arrays_there)
    assert refused > len(data) / 2


@given(st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_refused(share):
    data = checkpoint_bytes([np.ones(9)], Progress(step=1))
    with pytest.raises(ValueError, match="^not a checkpoint, or damaged: [^\n]*$"):
        checkpoint_parts(data[: int(share * len(data))])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a\ntext",
        stored(array=np.ones(3)),
        stored(progress=np.ones(3)),
        stored(progress=np.array("no JSON")),
        stored(progress=np.array(json.dumps({"steps": 3}))),
        stored(progress=np.array([{"step": 3}], dtype=object)),
    ],
)
def test_a_foreign_file_is_refused_with_one_sentence(data):
    with pytest.raises(ValueError, match="^not a checkpoint, or damaged: [^\n]*$"):
        checkpoint_parts(data)


def test_an_array_alone_is_no_checkpoint():
    file = io.BytesIO()
    np.save(file, np.ones(3))
    with pytest.raises(ValueError, match="^not a checkpoint, or damaged: [^\n]*$"):
        checkpoint_parts(file.getvalue())


@given(AUCS)
def test_the_best_validation_is_the_first_with_the_highest_auc(aucs):
    progress = Progress(history=history(aucs))
    assert progress.best.get("step") == (int(np.argmax(aucs)) if aucs else None)
    assert progress.is_best() == bool(aucs and all(auc < aucs[-1] for auc in aucs[:-1]))


@given(AUCS, st.integers(0, 5))
def test_a_training_stalls_after_as_many_validations_without_a_better_auc(aucs, patience):
    since, best = 0, -1
    for auc in aucs:
        since, best = (0, auc) if auc > best else (since + 1, best)
    found = Progress(history=history(aucs)).has_stalled(Training(patience=patience))
    assert found == (patience > 0 and since >= patience)


@given(st.integers(0, 9), st.integers(1, 9), st.booleans())
def test_a_training_is_finished_at_its_last_step_or_where_it_was_stopped(step, steps, is_stopped):
    progress = Progress(step=step, is_stopped=is_stopped)
    assert progress.is_finished(Training(num_steps=steps)) == (is_stopped or step >= steps)
