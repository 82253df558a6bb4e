"""YAML of others: what it stands for is bounded before it is built, and nothing is said twice."""

import pytest

from camid.config import load_config
from camid.dataset.splits import named_split
from camid.io.yaml_text import DEEPEST, yaml_texts, yaml_values

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{two}: &{two} [{','.join([f'*{one}'] * 9)}]\n"
    for one, two in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "aliases": (BOMB + "seed: *i\n", "its aliases stand for more than 1,048,576 values"),
    "merged aliases": (
        BOMB.replace("[x,x,x,x,x,x,x,x,x]", "{x: 1}") + "seed: {<<: *i}\n",
        "its aliases stand for more than",
    ),
    "an alias of itself": ("seed: &a [*a, *a]\n", "'a' is an alias within itself"),
    "lists": ("seed: " + "[" * 3000 + "]" * 3000, f"more than {DEEPEST} sections within sections"),
    "mappings": ("seed: " + "{a: " * 3000, "more than"),
    "blocks": ("".join(" " * n + "a:\n" for n in range(3000)), "more than"),
    "a key twice": ("seed: 1\nseed: 2\n", "the key 'seed' is there twice below line 1"),
    "a field twice": ("simulate:\n  num_devices: 2\n  num_devices: 3\n", "is there twice"),
    "a tag": ("seed: !!python/object/apply:os.system [exit]\n", "not YAML"),
    "no date": ("seed: 2024-13-45\n", "not YAML that is read"),
    "tabs": ("a:\n\t- b\n", "not YAML"),
}


@pytest.mark.parametrize(("text", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_one_sentence_wherever_one_is_read(tmp_path, text, words):
    file = tmp_path / "hostile.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"hostile.yaml") as refused:
        load_config(str(file))
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(ValueError, match=r"hostile.yaml"):
        named_split(str(file), [], settings=load_config().splits, seed=1)


def test_anchors_and_floats_are_read_as_people_write_them():
    text = "base: &base {rate: 1e-4, steps: 10}\nother: {<<: *base, steps: 20}\nlist: [*base]\n"
    base = {"rate": 1e-4, "steps": 10}
    assert yaml_values(text) == {"base": base, "other": {"rate": 1e-4, "steps": 20}, "list": [base]}
    assert yaml_texts("scene: 0010") == {"scene": "0010"}
    assert yaml_values("") is None
