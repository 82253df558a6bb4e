"""What is known of the nodes of a real Ray, and of those that it may start."""

import pytest

from camid.config import Training
from camid.runtime.cluster.resources import (
    GPU_TYPE,
    NODE_ID,
    NODE_TYPES,
    apart_from_gpus,
    check_processors,
    most_tasks,
    node_resources,
    num_cpus,
)
from camid.runtime.training.train import worker_cpus

pytestmark = pytest.mark.usefixtures("ray_here")


def test_nodes_that_may_start_count_besides_those_that_work(monkeypatch):
    working = node_resources()
    monkeypatch.setenv(NODE_TYPES, '[{"CPU": 16, "GPU": 1, "count": 2}, {"CPU": 2, "count": 3}]')
    assert num_cpus() == 2 + 2 * 16 + 2 * 2  # one of two processors works already
    assert len(node_resources()) == len(working) + 4


def test_a_training_may_ask_for_gpus_that_the_cluster_starts_when_they_are_needed(monkeypatch):
    training = Training(use_gpu=True, num_workers=2)
    with pytest.raises(ValueError, match="2 workers take a GPU each, and Ray has 0"):
        worker_cpus(training, node_resources())
    monkeypatch.setenv(NODE_TYPES, '[{"CPU": 8, "GPU": 1, "count": 2}]')
    assert worker_cpus(training, node_resources()) == 8


@pytest.mark.parametrize("stated", ["16", "[16]", "{", '[{"CPU": "many"}]'])
def test_node_types_that_are_none_are_one_sentence(monkeypatch, stated):
    monkeypatch.setenv(NODE_TYPES, stated)
    with pytest.raises(ValueError, match=f"{NODE_TYPES}: expected JSON such as"):
        node_resources()


def test_tasks_stay_off_gpus_that_may_come_where_other_nodes_work():
    selector = apart_from_gpus()
    assert "H100" in selector[GPU_TYPE]
    assert NODE_ID not in selector
    assert most_tasks() is None
    check_processors()
