"""What a trainer is fed is what a plain loop draws."""

import time
from dataclasses import dataclass, replace

import numpy as np
import psutil
import pytest

from camid.dataset.splits import named_split
from camid.runtime.training import feed as feed_module
from camid.runtime.training.feed import fed
from camid.store.store import open_store
from camid.store.strip_reader import RowGroups
from camid.training.batches import Batches, share_of
from camid.training.pair_task import PairTask

SETTINGS = (
    *("split=seeded", "splits.test=0.34", "splits.validation=0.34"),
    *("training.batch_size=16", "training.micro_batches=4", "pairs.crop_size=32"),
    *("training.prefetch=2", "training.feed_workers=2"),
)


@pytest.fixture(scope="module")
def source(made):
    config = made.config(*SETTINGS)
    store = open_store(config.paths.store)
    split = named_split("seeded", store.images(), settings=config.splits, seed=config.seed)
    return PairTask(config=config, store=config.paths.store, split=split)


def plain(source, step, micro_batches):
    """Return a share of a step as a loop without Ray draws and reads it."""
    with RowGroups(open_store(source.store)) as row_groups:
        return source.training(row_groups).share(step, micro_batches)


def same(one, other):
    columns = ("sums", "counts", "labels")
    return one.step == other.step and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in columns
    )


def test_workers_shares_of_any_step_come_in_order_to_the_last(source):
    for rank in (0, 2):
        mine = share_of(rank, 3, training=source.config.training)
        with fed(source, mine, range(7, 12)) as feed:
            shares = list(feed)
        assert len(shares) == 5
        assert all(same(s, plain(source, 7 + i, mine)) for i, s in enumerate(shares))


def test_a_feed_that_is_left_early_ends_and_another_begins(source):
    for _ in range(2):
        with fed(source, [0], range(50)) as feed:
            assert same(next(feed), plain(source, 0, [0]))


def test_a_reader_that_is_killed_is_replaced_and_nothing_is_missing(source):
    with fed(source, [0], range(12)) as feed:
        shares = [next(feed)]
        family = psutil.Process().children(recursive=True)
        readers = [process for process in family if "_Reader" in process.name()]
        for process in readers:
            process.kill()
        shares += feed
    assert readers
    assert len(shares) == 12
    assert all(same(share, plain(source, step, [0])) for step, share in enumerate(shares))


@dataclass(frozen=True, kw_only=True, eq=False)
class SlowTask(PairTask):
    """A task whose reader needs a while for each step, as a far store does."""

    def training(self, row_groups):
        time.sleep(0.2)
        return SlowBatches(super().training(row_groups))


@dataclass(frozen=True)
class SlowBatches:
    batches: Batches

    def share(self, step, micro_batches):
        time.sleep(0.2)
        return self.batches.share(step, micro_batches)


@pytest.mark.parametrize(("feed_workers", "most", "grown"), [(0, 3, 3), (0, 1, 1), (2, 3, 2)])
def test_readers_are_added_while_shares_are_waited_for(
    source, monkeypatch, feed_workers, most, grown
):
    monkeypatch.setattr(feed_module, "WINDOW_SECONDS", 1.0)
    monkeypatch.setattr(feed_module, "HELPED", 2.0)  # whatever else this machine does
    settings = replace(source.config.training, feed_workers=feed_workers)
    slow = SlowTask(
        config=replace(source.config, training=settings), store=source.store, split=source.split
    )
    with fed(slow, [0], range(1000), most_readers=most) as feed:
        for step, share in enumerate(feed):
            assert same(share, plain(source, step, [0]))
            if step > 20 and feed.num_readers == grown:
                break
        assert feed.num_readers == grown


def test_readers_are_enough_where_nothing_is_waited_for(source, monkeypatch):
    monkeypatch.setattr(feed_module, "WINDOW_SECONDS", 0.5)
    monkeypatch.setattr(feed_module, "ENOUGH", 0.9)  # whatever else this machine does
    settings = replace(source.config.training, feed_workers=0)
    task = replace(source, config=replace(source.config, training=settings))
    with fed(task, [0], range(12), most_readers=3) as feed:
        for _ in feed:
            time.sleep(0.2)
        assert feed.num_readers == 1


def test_a_store_that_is_damaged_is_the_trainer_s_own_sentence(source, copied):
    for chunk in (copied.root / "store").glob("device=*/chunk-*.parquet"):
        chunk.write_bytes(chunk.read_bytes()[:1000])
    damaged = replace(source, store=str(copied.root / "store"))
    with (
        fed(damaged, [0], range(3)) as feed,
        pytest.raises(ValueError, match="not a whole chunk"),
    ):
        next(feed)
