"""The runs of a sweep as one table: a row for each, whether it is done, failed or pending."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulation.config.dump import config_hash
from simulation.runs.artifacts import read_metrics
from simulation.runs.directory import HASH_DIGITS, State, state
from simulation.runs.manifest import read_manifest
from simulation.runs.sweep.plan import Plan

SCOPES = ("pooled", "mean", "max", "round", "workload")
"""Whose last metrics a row shows."""
FAILURE_CHARACTERS = 200


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    """One row for each job, in the order of the plan; nothing in it depends on when or where."""
    rows: list[dict[str, Any]] = []
    for job in plan.jobs:
        status = {State.DONE: "done", State.FAILED: "failed", State.ABSENT: "pending"}
        found = state(job.directory)
        row: dict[str, Any] = {
            **job.labels,
            "seed": job.seed,
            "status": status[found],
            "config": config_hash(job.experiment)[:HASH_DIGITS],
        }
        if found is State.DONE:
            row |= {"trace": read_manifest(job.directory)["trace_digest"][:HASH_DIGITS]}
            row |= _last(read_metrics(job.directory))
        elif found is State.FAILED:
            row["error"] = failure(job.directory)
        rows.append(row)
    return rows


def failure(directory: Path) -> str:
    """Why a run failed, on one line."""
    message: str = read_manifest(directory)["failure"]["message"]
    return " ".join(message.split())[:FAILURE_CHARACTERS]


def _last(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Every metric of the whole federation after the last round in which it was taken."""
    found: dict[str, tuple[int, float]] = {}
    for row in metrics:
        if row["scope"] in SCOPES:
            name = f"{row['scope']}.{row['metric']}"
            if name not in found or row["round"] >= found[name][0]:
                found[name] = (row["round"], row["value"])
    return {name: found[name][1] for name in sorted(found)}


def table_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV, with a column for everything that some row has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
