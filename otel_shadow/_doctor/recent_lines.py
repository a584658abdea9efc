"""Checks of the latest lines of the log: what only real traffic shows of session ids and hash keys."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

from otel_shadow import semconv
from otel_shadow._doctor.arms import CLOCK_SHARE
from otel_shadow._doctor.findings import Finding, note
from otel_shadow._runtime.redact import Redactor
from otel_shadow.cohorts import is_crowd

_MOST_BYTES = 4 << 20
"""Some two thousand executions: enough to see what traffic is like, and read in no time."""


def check_recent_lines(file: Path, redactor: Redactor) -> Iterator[Finding]:
    """Yield notes on the executions at the end of ``file``: those without a session id, a crowded one, former keys."""
    lines = list(_executions(file))
    if not lines:
        return
    without = sum(line.get("has_session_id") is False for line in lines)
    if without:
        text = (
            f"{without} of the last {len(lines)} executions in {file.name} had none: each run is a session of its own"
        )
        remedy = "name in [session] id where it is, and send one with each run; without it V2 goes live at 100 % only"
        yield note("session ids", text, remedy)
    yield from _crowds(lines, file.name)
    cut = sum(line.get("reason") == semconv.CUT_OFF for line in lines)
    if cut >= 0.1 * len(lines):
        text = (
            f"the event loop ended while V2 ran in {cut} of the last {len(lines)} executions in {file.name}: no pairs"
        )
        yield note("event loop", text, 'set executor = "process" for these nodes, whose V2 then outlives the loop')
    yield from _of_the_future(lines, file.name)
    former = redactor.former_key_id
    if not redactor.random_key and any(line.get("key_id") == former for line in lines):
        text = f"{file.name} has lines of release 0.1, where this key has the id {former}; now it is {redactor.key_id}"
        yield note("hash key", text, "judge a log that begins after the upgrade: one session has two hashes across it")


def _of_the_future(lines: list[dict[str, Any]], name: str) -> Iterator[Finding]:
    """Yield a note where executions are later than now by more than a sixth of a slot: somebody's clock is off."""
    now, latest = time(), 0.0
    for line in lines:
        length = line.get("slot_seconds")
        ahead = _epoch_s(line.get("timestamp")) - now
        if isinstance(length, int | float) and line.get("clock") == "system" and ahead > length * CLOCK_SHARE:
            latest = max(latest, ahead)
    if latest:
        text = (
            f"executions in {name} are up to {latest:.0f} s later than this clock: it is off, or that of a replica is"
        )
        yield note("clock", text, "keep all in step with a time server (NTP): they begin and end their slots by it")


def _epoch_s(timestamp: Any) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _crowds(lines: list[dict[str, Any]], name: str) -> Iterator[Finding]:
    for node, of in Counter(line.get("node") for line in lines).items():
        sessions = Counter(str(line.get("session_id")) for line in lines if line.get("node") == node)
        most = max(sessions.values())
        if is_crowd(most, of):
            text = f"{most} of the last {of} executions of node {node!r} in {name} are of one session"
            remedy = "if these were many conversations, they share an id: correct [session] id, or what is sent"
            yield note("session ids", text, remedy)


def _executions(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open("rb") as opened:
            opened.seek(max(os.fstat(opened.fileno()).st_size - _MOST_BYTES, 0))
            data = opened.read(_MOST_BYTES)
    except OSError:
        return
    for line in data.splitlines():
        try:
            read = json.loads(line)
        except ValueError:
            continue
        if isinstance(read, dict) and read.get("event") in (semconv.EVENT_V2, semconv.EVENT_BASELINE):
            yield read
