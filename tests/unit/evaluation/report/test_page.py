"""The page of an output folder that is made by hand, of real files."""

import base64
import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from camid.comparison.comparison_list import write_list
from camid.config import Config, config_yaml, load_config
from camid.dataset.records import ImageRecord, manifest_table, rejected
from camid.dataset.splits import Split
from camid.evaluation.gallery import gallery_matrices
from camid.evaluation.report.data_summary import MAX_EXAMPLES, data_summary, write_data
from camid.evaluation.report.facts import report_facts
from camid.evaluation.report.figures import matrix_figure, pattern_figure, png
from camid.evaluation.report.page import COLUMNS, report_page
from camid.evaluation.report.write import write_report
from camid.evaluation.result_rows import write_rows
from camid.evaluation.results import judged_rows
from camid.evaluation.score_table import write_scores
from camid.io.csv_tables import write_csv
from camid.io.digested import write_json
from camid.io.folder import Folder
from camid.io.output_layout import PICTURES
from camid.store.chunk_file import SampleFormat
from camid.store.settings import store_settings
from camid.store.store import MANIFEST, Store, write_description, write_table
from tests.unit.galleries import gallery

EVIL = '<script>alert("1")</script>'
DEVICES = (EVIL, "Żółty & 照片", "c", "d")
MODELS = ("Acme <b>X</b>", "Acme <b>X</b>", "", "'Other' \"Y\"")
METHODS = ("lukas", "a<b")
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """A page's elements, its text, and whether every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.code: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "code":
            self.code.append("")

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)
        if "code" in self.open:
            self.code[-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def records_of(num_rejected):
    records = [
        ImageRecord(image_id=f"{d}/{n} <i>.jpg", device=d, make=m, width=640, height=480, path="x")
        for d, m in zip(DEVICES, MODELS, strict=True)
        for n in range(3)
    ]
    return records + [
        ImageRecord(image_id=f"{EVIL}{n:03d}.txt", path="x", status=rejected("not <an> image"))
        for n in range(num_rejected)
    ]


def store_of(folder, records, *, simulated=None):
    files = {MANIFEST: write_table(folder, MANIFEST, manifest_table(records))}
    settings = {**store_settings(Config()), "data": f"/data/{EVIL}", "seed": 7}
    samples = SampleFormat(size=32, dtype="int8", step=0.125, filter={}).facts
    counts = {"num_chunks": 1, "num_row_groups": 1}
    digests = {"plan_digest": "abc", "content_digest": "def"}
    facts = {"settings": settings, "simulated": simulated, "files": files, **digests, **counts}
    facts["samples"] = samples
    write_description(folder, facts)
    return Store(folder)


def level(a, b):
    """Return what two devices share, as far as their models say."""
    if not (MODELS[a] and MODELS[b]):
        return "unknown"
    return "same-model" if MODELS[a] == MODELS[b] else "other-make"


@pytest.fixture
def output(made, tmp_path) -> Folder:
    """A folder of the test's own."""
    shutil.copytree(made.uri, tmp_path / "out")
    return Folder(str(tmp_path / "out"))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Folder:
    """Four devices with ten queries each, judged by two methods."""
    tmp_path, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(7)
    folder = Folder(str(tmp_path / "out"))
    listed = gallery(DEVICES, num_queries=10, level=level)
    is_own = np.array([pair.label for pair in listed.comparisons])
    scores = {m: rng.normal(size=len(is_own)) + 2 * is_own for m in METHODS}
    stated = {"split": "all", "seed": 7, "single_threshold_fpr": 1e-3}
    columns = {m: values[:, None] for m, values in scores.items()}
    rows, _ = judged_rows(listed, columns, num_crops=(), **stated)
    write_rows(folder, rows)
    write_list(folder, "comparisons.parquet", listed)
    pairs = [(pair.first, listed.sides[pair.second]) for pair in listed.comparisons]
    facts = {
        "first": [DEVICES[first] for first, _ in pairs],
        "second": [second.device for _, second in pairs],
        "label": is_own,
        "level": [pair.level for pair in listed.comparisons],
        "image_id": [
            f"{second.device}/query {second.images[0][-1]} <i>.jpg" for _, second in pairs
        ],
    }
    told = {m: pa.array(list(values)) for m, values in columns.items()}
    write_scores(folder, pa.table(facts | told))
    devices = [
        {"device": d, "model": m, "width": 640, "height": 480, "enrolled": 12, "queries": 10}
        | {f"rank1_{method}": "0.8125" for method in METHODS}
        | {f"mean_score_{method}": "nan" for method in METHODS}
        for d, m in zip(DEVICES, MODELS, strict=True)
    ]
    write_csv(folder, "devices.csv", devices)
    left = [{"image_id": f"{EVIL}.jpg", "device": "c", "reason": "the <same> file"}] * 250
    write_csv(folder, "left_out.csv", left)
    stages = [("enrol", "1.50"), ("score", "4.50")]
    write_csv(folder, "stages.csv", [{"stage": s, "seconds": t} for s, t in stages])
    folder.write("config.yaml", config_yaml(load_config(settings=["seed=7"])).encode())
    split = Split(name="all", train=(), validation=(), test=DEVICES, missing=())
    store = store_of(Folder(str(tmp_path / "store")), records_of(60))
    summary = data_summary(store, split, pipeline="baselines")
    write_data(folder, summary)
    means = gallery_matrices(listed, scores).mean_scores()
    matrix = matrix_figure(means, DEVICES, models=MODELS)
    patterns = pattern_figure({"c": rng.normal(size=(8, 8)).astype(np.float32)})
    folder.write(PICTURES["matrix"], png(matrix, dpi=50))
    folder.write(PICTURES["patterns"], png(patterns, dpi=50))
    write_report(folder, seed=7)
    return folder


def test_every_element_is_closed_and_headings_skip_no_level(output):
    page = Page(report_page(output))
    assert page.open == []
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_nothing_is_loaded_from_elsewhere(output):
    html = report_page(output)
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name == "href":
                assert tag == "a"
                assert re.match(r"#|https://doi\.org/", value or "")
            elif name in {"src", "srcset", "poster", "data", "action"}:
                assert (value or "").startswith("data:image/png;base64,")
            else:
                assert "url(" not in (value or "")
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert not re.search(r"url\(|@import|http", style)
    assert any("default-src 'none'" in (a.get("content") or "") for a in page.all("meta"))


def test_links_within_the_page_lead_somewhere(output):
    page = Page(report_page(output))
    targets = {attributes.get("id") for _, attributes in page.elements}
    for link in page.all("a"):
        href = link["href"] or ""
        assert href.startswith("https://") or href[1:] in targets


def test_every_figure_is_embedded_whole_with_words_for_it(output):
    images = Page(report_page(output)).all("img")
    held = [base64.b64decode((i["src"] or "").partition(",")[2]) for i in images]
    shown = ("roc", "det", "histograms", "tippett", "matrix", "patterns")
    assert held == [output.read(PICTURES[name]) for name in shown if output.exists(PICTURES[name])]
    assert len(held) >= 5
    assert all(len(image["alt"] or "") > 20 for image in images)


def test_every_table_names_its_rows_and_columns(output):
    page = Page(report_page(output))
    assert all(head.get("scope") for head in page.all("th"))
    assert len(page.all("table")) == len(page.all("thead"))


def test_any_name_is_shown_as_it_is(output):
    html = report_page(output)
    text = Page(html).text
    for evil in (EVIL, "<b>X</b>", "<i>", "not <an> image", "a<b", "照片", "the <same> file"):
        assert evil in text
    assert "<script" not in html
    assert "/data/<script>" in text


def test_every_figure_of_the_results_is_shown(output):
    text = Page(report_page(output)).text
    for row in json.loads(output.read("results.json")):
        for key in ("eer", "auc", "rank1", "tpr_at_fpr_1e-3", "single_threshold_eer"):
            assert f"{row[key]:.4f}" in text
        assert str(row["num_negatives"]) in text
        if row["negatives"] == "all":
            assert f"EER {row['eer']:.3f}" in (Page(report_page(output)).all("img")[0]["alt"] or "")


def test_every_column_is_explained(output):
    text = Page(report_page(output)).text
    shown = report_facts(output)["parts"][0]["shown"]
    assert len(shown) > 8
    assert all(COLUMNS[name].meaning in text for name in shown)
    assert set(shown) <= set(COLUMNS)


def test_errors_are_told_in_words_built_from_the_figures(output):
    rows = json.loads(output.read("results.json"))
    rows[0] |= {"eer": 0.08, "rank1": 0.0, "num_positives": 1000, "num_devices": 50}
    write_json(output, "results.json", rows)
    text = Page(report_page(output)).text
    assert "8 in 100 photographs are refused by their own device" in text
    assert "the right device’s for none of the photographs" in text


def test_few_devices_are_warned_of_and_many_are_not(output):
    text = Page(report_page(output)).text
    assert "Few devices and few photographs" in text
    assert "They rest on 40 comparisons of a photograph with its own device" in text
    rows = json.loads(output.read("results.json"))
    many = {"num_positives": 5000, "num_negatives": 9999, "num_devices": 80}
    write_json(output, "results.json", [row | many for row in rows])
    text = Page(report_page(output)).text
    assert "Few " not in text
    assert "These figures rest on 5,000 comparisons" in text


def test_intervals_are_shown_where_there_are_any(output):
    rows = json.loads(output.read("results.json"))
    write_json(output, "results.json", [row | {"eer_low": 0.0511, "eer_high": 0.1} for row in rows])
    text = Page(report_page(output)).text
    assert "0.051–0.100" in text


def test_simulated_phones_are_said_to_be_no_photographs(output):
    data = json.loads(output.read("data.json"))
    write_data(output, data | {"simulated": {"seed": 1, "sizes": [2]}})
    text = Page(report_page(output)).text
    assert "Simulated phones, not photographs" in text
    assert "sizes:" in text
    write_data(output, data)
    assert "imulated phones" not in Page(report_page(output)).text


def test_long_lists_are_capped_and_the_rest_counted(output):
    text = Page(report_page(output)).text
    assert "… and 50 more in left_out.csv" in text
    assert f"… and {60 - MAX_EXAMPLES} more in the store’s manifest.parquet" in text
    assert "not <an> image 60" in text


def test_the_clearest_mistake_comes_first(output):
    page = report_page(output)
    first, second = re.findall(r"(\d+) photographs? that another device’s pattern", page)
    rows = [r for r in json.loads(output.read("results.json")) if r["negatives"] == "all"]
    assert [int(first), int(second)] == [round(40 * (1 - row["rank1"])) for row in rows]


def test_the_command_repeats_the_run_whatever_its_folder_is_called(output):
    page = Page(report_page(output))
    (command,) = [code for code in page.code if "pipelines/preprocess.py" in code]
    parts = shlex.split(command)
    assert parts[1:3] == ["pipelines/preprocess.py", output.address("config.yaml")]
    assert parts[parts.index("--data") + 1] == f"/data/{EVIL}"


@pytest.mark.parametrize(
    "name",
    ["left_out.csv", "stages.csv", "scores.parquet", "devices.csv", "data.json", "config.yaml"],
)
def test_a_part_that_is_missing_is_left_out(output, name):
    output.delete(name)
    page = Page(report_page(output))
    assert page.open == []
    assert "EER" in page.text


def test_results_alone_are_a_report(output):
    for name in output.files():
        if name not in {"results.json", ".sha256/results.json"}:
            output.delete(name)
    page = Page(report_page(output))
    assert page.all("img") == []
    assert "Lukas" in page.text


def test_no_results_are_no_report(tmp_path):
    with pytest.raises(ValueError, match="no results to report; run a pipeline into it"):
        report_page(Folder(str(tmp_path)))


def test_equal_files_give_an_equal_page(output):
    assert report_page(output) == report_page(Folder(output.uri))


def test_a_summary_depends_on_the_data_and_not_on_where_simulated_ones_lie(tmp_path):
    split = Split(name="all", train=(), validation=(), test=DEVICES, missing=())
    store = store_of(Folder(str(tmp_path)), records_of(1), simulated={"seed": 1})
    summary = data_summary(store, split, pipeline="demo")
    assert "/data" not in json.dumps(summary)
    assert summary["rejected"] == [
        {"reason": "not <an> image", "files": 1, "examples": [f"{EVIL}000.txt"]}
    ]
    assert [size["images"] for size in summary["sizes"]] == [12]


def test_files_that_are_too_small_are_one_group_whatever_their_size(tmp_path):
    reasons = [f"{n}x{n} px is smaller than one strip of 256x256 px" for n in (9, 10)]
    records = [
        ImageRecord(image_id=reason, path="x", status=rejected(reason)) for reason in reasons
    ]
    store = store_of(Folder(str(tmp_path)), records)
    split = Split(name="all", train=(), validation=(), test=(), missing=())
    (group,) = data_summary(store, split, pipeline="demo")["rejected"]
    assert group["reason"] == "the image is smaller than one strip of 256x256 px"
    assert group["examples"] == sorted(reasons)
