import ray
from ray.util.placement_group import placement_group, placement_group_table

from camid.runtime.cluster.placement_groups import remove_placement_groups


@ray.remote(num_cpus=0)
class _Controller:
    def hold(self) -> str:
        group = placement_group([{"CPU": 1}])
        ray.get(group.ready())
        return group.id.hex()


def test_a_place_that_a_lost_controller_held_is_free_again(ray_here):
    controller = _Controller.remote()
    name = ray.get(controller.hold.remote())
    ray.kill(controller)
    assert placement_group_table()[name]["state"] == "CREATED", "Ray frees it now: delete this"
    remove_placement_groups()
    assert placement_group_table()[name]["state"] == "REMOVED"
