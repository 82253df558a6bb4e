from camid.runtime.cluster.node_check import ALIKE, differences, installed


def test_a_program_is_like_itself_and_knows_all_that_must_be_alike():
    here = installed()
    assert set(here) == {"Python", *ALIKE}
    assert all(here.values())
    assert differences(here, here) == ""


def test_what_differs_is_told_with_both_versions():
    here = {"Python": "3.12.1", "ray": "2.60.0", "keras": ""}
    assert differences(here, here | {"ray": "2.59.0"}) == (
        "ray 2.59.0 where this program has 2.60.0"
    )
    assert differences(here, {"Python": "3.12.1", "ray": ""}) == (
        "no ray where this program has 2.60.0"
    )
    assert "keras 3.15.0 where this program has none" in differences(here, {"keras": "3.15.0"})
