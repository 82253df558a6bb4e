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


def test_a_ray_of_this_machine_listens_on_its_loopback_where_there_are_no_clusters():
    from ray._private import ray_constants, services
    from ray._private.utils import get_ray_address_file

    assert ray_constants.ENABLE_RAY_CLUSTER in {True, False}, version("ENABLE_RAY_CLUSTER")
    made = inspect.getsource(services.get_node_ip_address)
    assert "ENABLE_RAY_CLUSTER" in made, version("services.get_node_ip_address")
    assert get_ray_address_file("/a").startswith("/a/"), version("get_ray_address_file")
