"""The report: one HTML page of an output folder, whole in itself, a pure function of its files."""

import base64
import csv
import io
import json
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from camid.folder import Folder
from camid.metrics import recognised

REPORT = "report.html"
DATA = "data.json"
STAGES = "stages.csv"

FEW_DEVICES = 30
FEW_QUERIES = 300
"""Below these, another draw of devices or photographs moves error rates by whole percents."""
MAX_ROWS = 200
"""Rows of a list that are shown; the file beside the report has all of them."""
OPEN_ROWS = 40
"""Rows of a list that is shown unfolded."""


class Column(NamedTuple):
    """A column of the table of results: its title, how its values are written, what it means."""

    title: str
    form: Callable[[Any], str]
    meaning: str


def rate(value: float | str) -> str:
    """Return a figure to four places, as pipelines print it; a dash where there is none."""
    return "–" if value == "" or not np.isfinite(float(value)) else f"{float(value):.4f}"


def count(value: int | str) -> str:
    """Return a whole number with its thousands apart."""
    return f"{int(value):,}"


def score(value: float | str) -> str:
    """Return a score to five places; a dash where there is none."""
    if value == "" or not np.isfinite(float(value)):
        return "–"
    return f"{float(value):.5f}".replace("-", "−")


def share(value: float, of: str) -> str:
    """Return a rate in words: ``8 in 100 photographs``, or in 1,000 where it is small."""
    if value in (0, 1):
        return f"none of the {of}" if value == 0 else f"all {of}"
    if value >= 0.01:
        return f"{min(100 * value, 99):.0f} in 100 {of}"
    return f"{'fewer than 1' if value < 0.001 else round(1000 * value)} in 1,000 {of}"


NOTES = {
    "lukas": "correlates what denoising takes from a photograph with a device's reference pattern.",
    "li": "first weakens what is strong in it, which the scene is likelier to have made.",
}
"""What methods do, in a sentence that their name begins."""

AGAINST = {
    "all": "all others",
    "different-model": "other models",
    "same-model": "same model",
    "same-size": "same size",
}

COLUMNS = {
    "images": Column(
        "Images",
        str,
        "Images that make a device's reference pattern + images that are compared with it.",
    ),
    "negatives": Column(
        "Against",
        lambda value: AGAINST.get(value, value),
        "Which other devices a photograph is compared with. Devices of the same model are the "
        "hard case: they share whatever the camera's software leaves in every photograph.",
    ),
    "eer": Column(
        "EER",
        rate,
        "Equal error rate: the share of errors at the threshold where false accepts and false "
        "rejects are equally frequent. 0 is perfect, 0.5 is guessing.",
    ),
    "auc": Column(
        "AUC",
        rate,
        "Area under the ROC: how often a photograph's own device outscores another one. "
        "1 is perfect, 0.5 is guessing.",
    ),
    "rank1": Column(
        "Rank-1",
        rate,
        "Share of photographs whose highest score is their own device's.",
    ),
    "accuracy": Column("Accuracy", rate, "Share of photographs that are assigned rightly."),
    "tpr_at_fpr_1e-2": Column(
        "TPR 1e-2",
        rate,
        "Share of photographs that their own device accepts at a threshold that at most 1 in 100 "
        "comparisons with other devices passes.",
    ),
    "tpr_at_fpr_1e-3": Column("TPR 1e-3", rate, "The same at 1 in 1,000."),
    "num_positives": Column("Positives", count, "Comparisons of a photograph with its own device."),
    "num_negatives": Column("Negatives", count, "Comparisons of a photograph with another device."),
    "num_devices": Column("Devices", count, "Devices whose photographs are compared."),
    "single_threshold_eer": Column(
        "EER*",
        rate,
        "The study's figures, at the threshold that the configuration names "
        "(metrics.single_threshold_fpr). Read them beside its Table 1 only.",
    ),
    "single_threshold_auc": Column("AUC*", rate, ""),
}
"""Columns of the table of results, in order; those that no row has are left out."""

PICTURES = {
    "roc": "figures/roc.png",
    "histograms": "figures/histograms.png",
    "matrix": "figures/matrix.png",
    "patterns": "figures/patterns.png",
}
"""Figures of an output folder."""

_CONDITION = ("method", "images", "crop_size", "num_crops", "negatives", "split")


def csv_rows(output: Folder, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file of an output folder; none where there is no such file."""
    if not output.exists(name):
        return []
    return list(csv.DictReader(io.StringIO(output.read(name).decode(), newline="")))


def report_page(output: Folder) -> str:
    """Return the report of an output folder, an HTML page that needs no other file.

    It is read from ``config.yaml``, ``results.csv``, ``devices.csv``, ``scores.parquet``,
    ``left_out.csv``, ``data.json``, ``stages.csv`` and the figures; what is missing is left out.
    Equal files give an equal page.

    Raises
    ------
    ValueError
        If there are no results.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("camid"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rate": rate,
        "count": count,
        "share": share,
        "score": score,
        "title_of": _title,
    }
    page = environment.get_template("report.html.jinja").render(_facts(output))
    return page.encode("utf-8", "backslashreplace").decode()


def _facts(output: Folder) -> dict[str, Any]:
    """Return everything that the page shows."""
    rows = [_figures(row) for row in csv_rows(output, "results.csv")]
    if not rows:
        raise ValueError(f"{output.uri}: no results to report; run a pipeline into it")
    text = output.read("config.yaml").decode() if output.exists("config.yaml") else ""
    config = yaml.safe_load(text) or {}
    data = json.loads(output.read(DATA)) if output.exists(DATA) else {}
    methods = list(dict.fromkeys(row["method"] for row in rows))
    devices = csv_rows(output, "devices.csv")
    left_out = csv_rows(output, "left_out.csv")
    findings = [_finding(rows, method) for method in methods]
    judged = sorted((found for found in findings if "eer" in found), key=lambda f: f["eer"])
    return {
        "rows": rows,
        "methods": methods,
        "findings": findings,
        "best": _best(judged),
        "notes": NOTES,
        "roc_alt": "ROC of each method. " + ", ".join(map(_in_words, judged)) + ".",
        "num_devices": len(devices),
        "num_queries": sum(int(row["queries"]) for row in devices),
        "columns": {key: column for key, column in COLUMNS.items() if any(key in r for r in rows)},
        "has_intervals": any(key.endswith("_low") for row in rows for key in row),
        "devices": sorted(devices, key=lambda row: (row["model"], row["device"])),
        "mistakes": _mistakes(output, methods),
        "left_out": left_out,
        "reasons": Counter(row["reason"] for row in left_out).most_common(),
        "data": data,
        "is_simulated": bool(data.get("simulated")),
        "simulated_text": yaml.safe_dump(data.get("simulated"), sort_keys=False),
        "config": config,
        "config_text": text,
        "commands": _commands(output, config, data),
        "stages": [(r["stage"], float(r["seconds"])) for r in csv_rows(output, STAGES)],
        "pictures": {name: _embedded(output, file) for name, file in PICTURES.items()},
        "few": {"devices": FEW_DEVICES, "queries": FEW_QUERIES},
        "limits": {"rows": MAX_ROWS, "open": OPEN_ROWS},
    }


def _figures(row: Mapping[str, str]) -> dict[str, Any]:
    """Return a row of results with its figures as numbers; empty ones are left out."""
    return {
        key: value if key in _CONDITION else float(value)
        for key, value in row.items()
        if value != ""
    }


def _finding(rows: Sequence[Mapping[str, Any]], method: str) -> dict[str, Any]:
    """Return a method's main row, and its EER against devices of the same model."""
    mine = [row for row in rows if row["method"] == method]
    main = next((row for row in mine if row.get("negatives") == "all"), mine[0])
    same = next((row for row in mine if row.get("negatives") == "same-model"), {})
    return {"method": method, "same_model_eer": same.get("eer"), **main}


def _best(judged: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the finding with the lowest EER, if it is lower than another's as far as is shown."""
    shown = [f"{found['eer']:.3f}" for found in judged]
    return judged[0] if len(shown) > 1 and shown[0] != shown[1] else None


def _in_words(found: Mapping[str, Any]) -> str:
    return f"{_title(found['method'])}: EER {found['eer']:.3f}, AUC {found['auc']:.3f}"


def _title(method: str) -> str:
    from camid.figures import TITLES  # matplotlib takes a second to import

    return TITLES.get(method, method)


def _mistakes(output: Folder, methods: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return each method's images that another device's pattern claims, the clearest first."""
    if not output.exists("scores.parquet"):
        return {}
    table = pq.read_table(pa.BufferReader(output.read("scores.parquet")))
    devices = json.loads(table.schema.metadata[b"devices"])
    own = np.array([devices.index(device) for device in table["device"].to_pylist()])
    return {
        method: _claimed_by_others(table, method, devices, own)
        for method in methods
        if method in table.column_names
    }


def _claimed_by_others(
    table: pa.Table, method: str, devices: Sequence[str], own: np.ndarray[Any, Any]
) -> list[dict[str, Any]]:
    scores = np.stack(table[method].to_numpy(zero_copy_only=False))
    wrong = np.flatnonzero(~recognised(own, scores) & np.isfinite(scores).any(axis=1))
    known = np.where(np.isfinite(scores), scores, -np.inf)
    known[np.arange(len(own)), own] = -np.inf
    best = known.argmax(axis=1)
    found = [
        {
            "image": table["image_id"][row].as_py(),
            "device": devices[own[row]],
            "claimed": devices[best[row]],
            "own_score": float(scores[row, own[row]]),
            "best_score": float(scores[row, best[row]]),
        }
        for row in wrong.tolist()
    ]
    return sorted(found, key=lambda mistake: (-mistake["best_score"], mistake["image"]))


def _commands(
    output: Folder, config: Mapping[str, Any], data: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return what to type to repeat the run, each command with what it does."""
    python, file = ".venv/bin/python", shlex.quote(output.address("config.yaml"))
    if not config or not data:
        return []
    if data["pipeline"] == "demo":
        return [("All of it again, in place:", f"{python} pipelines/demo.py {file} --fresh")]
    found = []
    if data["source"]:
        places = shlex.join(["--data", data["source"], "--store", config["paths"]["store"]])
        seed = f" --set seed={data['store_seed']}" if data["store_seed"] != config["seed"] else ""
        command = f"{python} pipelines/preprocess.py {file} {places} --out runs/preprocess{seed}"
        found.append(("The store, where it is no longer there:", command))
    command = f"{python} pipelines/{data['pipeline']}.py {file} --fresh"
    return [*found, ("The results, in place (--out names another folder):", command)]


def _embedded(output: Folder, file: str) -> str:
    """Return a picture as an address that holds it; empty where there is none."""
    if not output.exists(file):
        return ""
    return f"data:image/png;base64,{base64.b64encode(output.read(file)).decode()}"
