"""Placement groups: the places on nodes that trainings hold for their workers."""


def remove_placement_groups() -> None:
    """Remove the placement groups that finished trainings of this job left behind.

    A training whose controller is lost with its node leaves its group: Ray removes a group when the
    job ends that made it, gives it another place until then, and runs nothing else there.
    """
    import ray
    from ray.util.placement_group import (
        PlacementGroup,
        placement_group_table,
        remove_placement_group,
    )

    job = ray.get_runtime_context().get_job_id()
    for name, group in placement_group_table().items():
        if name.endswith(job) and group["state"] != "REMOVED":  # an id ends in its job's
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(name))))
