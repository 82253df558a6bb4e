import csv
import json
from dataclasses import replace

import pytest

from camid.runtime.pipelines.workflow import make_baselines

pytestmark = pytest.mark.usefixtures("ray_here")


def test_baselines_score_the_devices_that_a_seeded_split_tests(made, tmp_path, home):
    config = made.config("split=seeded")
    paths = replace(config.paths, data="", out=str(tmp_path / "out"))
    _, rows = make_baselines(replace(config, paths=paths))
    inputs = json.loads((tmp_path / "out/inputs.json").read_text())
    assert len(inputs["devices"]) == 2  # one of three models
    assert {(row.split, row.figures["num_devices"]) for row in rows} == {("seeded", 2)}
    with (tmp_path / "out/devices.csv").open() as file:
        assert [row["device"] for row in csv.DictReader(file)] == inputs["devices"]


@pytest.mark.soak
def test_images_that_the_split_leaves_out_are_listed_with_the_reason(made, tmp_path, home):
    table = tmp_path / "list.csv"
    with table.open("w") as file:
        print("path,device,kind,provenance", file=file)
        for path in sorted((made.root / "photographs").glob("*.jpg")):
            _, device, picture, number = path.stem.split("_")
            kind = {"picBG": "background", "picFG": "foreground"}[picture]
            way = "whatsapp" if (kind, number) == ("foreground", "001") else "original"
            print(f"{path},{device},{kind},{way}", file=file)
    config = made.config("splits.provenance=[original]", "images.elsewhere=true")
    paths = {"data": str(table), "store": str(tmp_path / "store"), "out": str(tmp_path / "out")}
    make_baselines(replace(config, paths=replace(config.paths, **paths)))
    with (tmp_path / "out/left_out.csv").open() as file:
        left_out = list(csv.DictReader(file))
    assert len(left_out) == 6
    assert {row["reason"] for row in left_out} == {
        "provenance 'whatsapp' takes no part (splits.provenance)"
    }
