"""Names of Ray that are not public: each is used in one place, and missed here first."""

import inspect

import ray


def version(name: str) -> str:
    return f"{name} is not what camid expects in Ray {ray.__version__}"


def test_ray_tells_the_address_that_a_ray_of_this_machine_left():
    from ray._private.utils import read_ray_address

    assert not inspect.signature(read_ray_address).parameters["temp_dir"].default, version(
        "ray._private.utils.read_ray_address"
    )


def test_a_trainer_makes_its_callbacks_where_one_of_them_is_left_out():
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    made = inspect.getsource(DataParallelTrainer._create_default_callbacks)
    assert "PlacementGroupCleanerCallback" in made, version("PlacementGroupCleanerCallback")


def test_a_backend_of_a_training_is_told_of_its_workers():
    from ray.train.backend import Backend

    parameters = [*inspect.signature(Backend.on_start).parameters]
    assert parameters == ["self", "worker_group", "backend_config"], version("Backend.on_start")
