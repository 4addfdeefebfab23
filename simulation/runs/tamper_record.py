"""Damage to what a run says about itself: manifest, metrics, trace and receipts."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

from simulation.runs.artifacts import METRICS, TRACE, read_metrics, write_metrics
from simulation.runs.seal import MANIFEST
from simulation.runs.tampering import CannotTamper, Damage, Scene


def model_renamed(scene: Scene) -> Damage:
    """The manifest names another final model."""
    manifest = _manifest(scene)
    told = manifest.get("summary", {}).get("model")
    if told is None:
        raise CannotTamper("the manifest names no model")
    manifest["summary"]["model"] = scene.flip(bytes.fromhex(told)).hex()
    _write(scene, manifest)
    return Damage("the final model's root in the manifest", None, None, ("summary.model",))


def head_renamed(scene: Scene) -> Damage:
    """The manifest names another last block."""
    manifest = _manifest(scene)
    ledger = manifest.get("summary", {}).get("ledger")
    if ledger is None:
        raise CannotTamper("the manifest names no ledger")
    ledger["head"] = scene.flip(bytes.fromhex(ledger["head"])).hex()
    _write(scene, manifest)
    return Damage("the last block's digest in the manifest", None, None, ("summary.ledger.head",))


def metric_edited(scene: Scene) -> Damage:
    """One number of the metrics is a little better."""
    if not (scene.run / METRICS).is_file():
        raise CannotTamper("the run has no metrics")
    rows = read_metrics(scene.run)
    row = scene.choose("metric", rows)
    row["value"] += 0.01
    write_metrics(scene.run, rows)
    told = f"{row['metric']} of {row['scope']} in round {row['round']}"
    owner = row["scope"] if row["scope"].startswith("hospital-") else None
    return Damage(told, None, owner, (METRICS,))


def trace_edited(scene: Scene) -> Damage:
    """One event happened a microsecond later."""
    lines = _lines(scene)
    index = int(scene.rng.integers(len(lines)))
    event = json.loads(lines[index])
    event["t_us"] += 1
    lines[index] = json.dumps(event, separators=(",", ":")).encode()
    _pack(scene, lines)
    return Damage(f"event {index} of the trace, {event['event']}", None, None, (TRACE, METRICS))


def result_rewritten(scene: Scene) -> Damage:
    """The trace says that a round ended with another model, and the manifest has its new digest."""
    lines = _lines(scene)
    ends = [i for i, line in enumerate(lines) if json.loads(line)["event"] == "round_closed"]
    index = scene.choose("round", ends)
    event = json.loads(lines[index])
    event["out_root"] = scene.flip(bytes.fromhex(event["out_root"])).hex()
    lines[index] = json.dumps(event, separators=(",", ":")).encode()
    manifest = _manifest(scene)
    manifest["trace_digest"] = _pack(scene, lines)
    _write(scene, manifest)
    told = f"the trace's result of round {event['round']}, and the trace's digest"
    return Damage(told, None, "coordinator", ("out_root",))


def receipt_edited(scene: Scene) -> Damage:
    """One bit of a receipt."""
    path = scene.choose("receipt", sorted((scene.run / "receipts").rglob("*.receipt")))
    path.write_bytes(scene.flip(path.read_bytes()))
    name = path.relative_to(scene.run).as_posix()
    return Damage(f"one bit of {name}", None, path.parent.name, (name,))


KINDS: dict[str, Callable[[Scene], Damage]] = {
    "model-renamed": model_renamed,
    "head-renamed": head_renamed,
    "metric-edited": metric_edited,
    "trace-edited": trace_edited,
    "result-rewritten": result_rewritten,
    "receipt-edited": receipt_edited,
}


def _manifest(scene: Scene) -> dict[str, Any]:
    return json.loads((scene.run / MANIFEST).read_text(encoding="utf-8"))


def _write(scene: Scene, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    (scene.run / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _lines(scene: Scene) -> list[bytes]:
    path = scene.run / TRACE
    if not path.is_file():
        raise CannotTamper("the run has no trace")
    return gzip.decompress(path.read_bytes()).splitlines()


def _pack(scene: Scene, lines: list[bytes]) -> str:
    """Write the trace, and return its digest."""
    text = b"".join(line + b"\n" for line in lines)
    (scene.run / TRACE).write_bytes(gzip.compress(text, mtime=0))
    return hashlib.sha256(text).hexdigest()
