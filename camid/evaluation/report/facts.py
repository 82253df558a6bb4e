"""Facts that the report shows of an output folder, read from its files, pictures apart."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml

from camid.comparison.comparison_list import read_list
from camid.evaluation.columns import IN_REPORT
from camid.evaluation.gallery import gallery_matrices, mistakes
from camid.evaluation.report.data_summary import DataFacts, read_data
from camid.evaluation.result_rows import Kind, ResultRow, read_differences, read_rows
from camid.evaluation.score_table import IMAGE, read_scores, scores_of
from camid.evaluation.search_summary import read_search
from camid.io.csv_tables import csv_rows
from camid.io.folder import Folder
from camid.io.output_layout import (
    BY_DEVICE,
    BY_MODELS,
    CONFIG,
    DEVICES,
    LEFT_OUT,
    LIST,
    SCORES,
    STAGES,
)
from camid.io.yaml_text import yaml_values

SECTIONS = {
    "": "",
    "embedding": "Other devices, by what the classifier has learned",
    "siamese": "Are two sets of photographs of one device?",
    "cnn": "Which of these devices? A classifier",
    "cnn/embedding": "Other devices, by what the classifier has learned",
}
"""Folders below an output folder that have results of their own, and their headings."""
TITLES: dict[Kind, str] = {
    "gallery": "Which device took each photograph?",
    "pairs": "Are two sets of photographs of one device?",
    "classifier": "Which of these devices took each photograph?",
}
"""The page's title by kind of comparison."""


def parts(rows: Sequence[ResultRow]) -> list[str]:
    """Return the :data:`SECTIONS` that an output folder's rows belong to."""
    with_rows = {row.part for row in rows}
    return [name for name in SECTIONS if name in with_rows]


def part_folder(output: Folder, part: str) -> Folder:
    """Return the folder of one of :data:`SECTIONS`."""
    return output / part if part else output


def device_models(data: DataFacts) -> dict[str, str]:
    """Return the make and model of each device that a folder's :data:`DATA` names."""
    return {
        device: model["name"] for model in data.get("models", ()) for device in model["devices"]
    }


def report_facts(output: Folder) -> dict[str, Any]:
    """Return the facts that the page shows, pictures apart, as JSON can hold them.

    Raises
    ------
    ValueError
        If there are no results.
    """
    rows = read_rows(output)
    if not rows:
        raise ValueError(f"{output.uri}: no results to report; run a pipeline into it")
    text = output.read(CONFIG).decode() if output.exists(CONFIG) else ""
    config = yaml_values(text) or {}
    data = read_data(output)
    sections = [
        _part(output, name, [row for row in rows if row.part == name]) for name in parts(rows)
    ]
    return {
        "title": TITLES[sections[0]["kind"]],
        "parts": sections,
        "data": data,
        "has_data": bool(data.get("models")),
        "is_simulated": bool(data.get("simulated")),
        "simulated_text": yaml.safe_dump(data.get("simulated"), sort_keys=False),
        "config": config,
        "config_text": text,
        "commands": _commands(output, config, data),
        "stages": [[row["stage"], float(row["seconds"])] for row in csv_rows(output, STAGES)],
    }


def _part(output: Folder, name: str, results: Sequence[ResultRow]) -> dict[str, Any]:
    """Return the facts that the page shows of one folder with results."""
    folder = part_folder(output, name)
    rows = [row.flat() for row in results]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    enrolled = [row for row in csv_rows(folder, DEVICES) if "enrolled" in row]
    left_out = csv_rows(folder, LEFT_OUT)
    findings = [_finding(rows, method) for method in methods]
    judged = sorted(
        (finding for finding in findings if "eer" in finding), key=lambda finding: finding["eer"]
    )
    reasons = Counter(row["reason"] for row in left_out).most_common()
    differences = [row.flat() for row in read_differences(folder)]
    return {
        "name": name,
        "title": SECTIONS[name],
        "kind": results[0].kind,
        "rows": rows,
        "methods": methods,
        "findings": findings,
        "best": _best(judged),
        "judged": judged,
        "shown": [key for key in IN_REPORT if any(key in row for row in rows)],
        "num_queries": sum(int(row["queries"]) for row in enrolled),
        "devices": sorted(enrolled, key=lambda row: (row["model"], row["device"])),
        "by_device": _beside(folder, BY_DEVICE, ("device", "model")),
        "by_models": _beside(folder, BY_MODELS, ("first", "second")),
        "differences": _last_differences(differences),
        "mistakes": _mistakes(folder),
        "left_out": left_out,
        "reasons": [list(reason) for reason in reasons],
        "search": read_search(folder),
    }


def _beside(folder: Folder, name: str, key: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a table with each method's figures beside one another, the worst first."""
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in csv_rows(folder, name):
        values = tuple(row[column] for column in key)
        line = lines.setdefault(values, {column: row[column] for column in key} | {"methods": {}})
        line |= {column: row[column] for column in row if column.startswith("num_")}
        rates = ("false_rejects", "false_accepts")
        line["methods"][row["method"]] = {rate: row[rate] for rate in rates if rate in row}
    return sorted(lines.values(), key=_errors, reverse=True)


def _errors(line: Mapping[str, Any]) -> float:
    rates = [float(value) for figures in line["methods"].values() for value in figures.values()]
    known = [rate for rate in rates if np.isfinite(rate)]
    return float(np.mean(known)) if known else -1.0


def _last_differences(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the differences at the largest number of crops."""
    num_crops = rows[-1]["num_crops"] if rows else 0
    return [row for row in rows if row["num_crops"] == num_crops]


def _finding(rows: Sequence[Mapping[str, Any]], method: str) -> dict[str, Any]:
    """Return a method's main row, the one of the most crops, and its EER against the same model."""
    method_rows = [row for row in rows if row["method"] == method]
    by_kind = {row.get("negatives"): row for row in method_rows}
    main, same = by_kind.get("all", method_rows[0]), by_kind.get("same-model", {})
    return {"method": method, "same_model_eer": same.get("eer"), **main}


def _best(judged: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the finding with the lowest EER, if the next one's differs as printed."""
    eers = [f"{finding['eer']:.3f}" for finding in judged]
    return judged[0] if len(eers) > 1 and eers[0] != eers[1] else None


def _mistakes(output: Folder) -> dict[str, list[dict[str, Any]]]:
    """Return by method the gallery's photographs that it assigns to another device."""
    if not (output.exists(SCORES) and output.exists(LIST)):
        return {}
    table = read_scores(output)
    if IMAGE not in table.column_names:
        return {}
    listed = read_list(output, LIST)
    gallery = gallery_matrices(listed, scores_of(table))
    seconds = [pair.second for pair in listed.comparisons]
    names = dict(zip(seconds, table[IMAGE].to_pylist(), strict=True))
    return {method: mistakes(listed, gallery, method, names) for method in gallery.scores}


def _commands(output: Folder, config: Mapping[str, Any], data: DataFacts) -> list[tuple[str, str]]:
    """Return the commands that repeat the run, each with its description."""
    python, file = ".venv/bin/python", shlex.quote(output.address(CONFIG))
    if not config or not data:
        return []
    if "runs" in data:
        options = ["--than", data["than"]] if data["than"] else []
        options += ["--out", output.uri]
        command = f"{python} pipelines/compare.py {shlex.join([*data['runs'], *options])}"
        return [("The comparison, in place:", command)]
    if data["pipeline"] == "demo":
        return [("All of it again, in place:", f"{python} pipelines/demo.py {file} --fresh")]
    commands = []
    if data["source"]:
        paths = shlex.join(["--data", data["source"], "--store", config["paths"]["store"]])
        seed = f" --set seed={data['store_seed']}" if data["store_seed"] != config["seed"] else ""
        command = f"{python} pipelines/preprocess.py {file} {paths} --out runs/preprocess{seed}"
        commands.append(("The store, where it is no longer there:", command))
    command = f"{python} pipelines/{data['pipeline']}.py {file} --fresh"
    return [*commands, ("The results, in place (--out names another folder):", command)]
