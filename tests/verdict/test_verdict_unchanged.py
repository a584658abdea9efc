"""The verdict's numbers are those of the definition, however they are worked out: frozen, stream by stream."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from varied_streams import streams

from otel_shadow.verdict import Verdict, cycle_rows, quantile_ratio, ratio_history, slow_times
from otel_shadow.verdict.result import CriterionResult

GOLDEN = Path(__file__).parents[1] / "golden" / "verdicts.jsonl"
STREAMS = dict(streams())
NUMBERS = (
    "estimate", "lower", "upper", "proven", "level", "log_e_go", "log_e_no_go", "sessions", "events", "is_proven",
)  # fmt: skip


def told(verdict: Verdict) -> dict[str, Any]:
    """What a verdict says and proves, without what every stream has in common."""
    document = verdict.to_dict()
    said = {key: document[key] for key in ("decision", "missing", "warnings", "blockers", "eta") if document[key]}
    rows = {"all": verdict.criteria, **{f"{node.graph}/{node.node}": node.criteria for node in verdict.nodes}}
    return said | {name: {row.criterion: _row(row) for row in found if row.measured} for name, found in rows.items()}


def _row(row: CriterionResult) -> list[Any]:
    shares = [part.estimate for part in row.parts]
    return [row.decision.value, *(_short(getattr(row, name)) for name in NUMBERS), *map(_short, row.details.values()),
            len(shares)]  # fmt: skip


def _short(value: Any) -> Any:
    return float(f"{value:.12g}") if isinstance(value, float) else value


@cache
def golden() -> dict[str, Any]:
    """The frozen numbers, by the streams' names."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines() if GOLDEN.exists() else []
    return {name: verdict for line in lines for name, verdict in json.loads(line).items()}


def differences(seen: Any, was: Any, place: str = "") -> list[str]:
    """Return where two documents differ; numbers do where they are not the same to nine digits."""
    if isinstance(seen, dict) and isinstance(was, dict):
        keys = sorted(seen.keys() | was.keys())
        return [one for key in keys for one in differences(seen.get(key), was.get(key), f"{place}/{key}")]
    if isinstance(seen, list) and isinstance(was, list) and len(seen) == len(was):
        pairs = enumerate(zip(seen, was, strict=True))
        return [one for at, pair in pairs for one in differences(*pair, f"{place}/{at}")]
    same = seen == was
    if not same and isinstance(seen, float | int) and isinstance(was, float | int):
        same = seen == pytest.approx(was, rel=1e-9, abs=1e-9)
    return [] if same else [f"{place}: {seen!r}, was {was!r}"]


@pytest.mark.parametrize("name", STREAMS)
def test_every_number_of_the_verdict_is_the_frozen_one(name: str) -> None:
    """Decisions, what is missing, dates, estimates, limits, levels and evidence are the same to nine digits."""
    found = json.loads(json.dumps(told(STREAMS[name]().verdicts()[-1])))
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        golden()[name] = found
        lines = [json.dumps({one: verdict}, ensure_ascii=False) for one, verdict in golden().items()]
        GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert differences(found, golden()[name]) == []


@pytest.mark.parametrize(
    "name",
    [
        "good, graph",
        "all change",
        "long sessions",
        "retries",
        "shed",
        "sessions held out, four nodes",
        "few sessions of many lines",
        "rolling, worse at the end",
    ],
)
def test_parts_and_slowest_lines_change_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worked out part by part, with the slowest lines kept alone, the numbers are those of all lines at once."""
    monkeypatch.setattr(cycle_rows, "_PART", 700)
    monkeypatch.setattr(slow_times, "_FEW", 0)
    monkeypatch.setattr(slow_times, "_BEYOND", 1.0)
    monkeypatch.setattr(quantile_ratio, "_JOINED", 0)
    found = json.loads(json.dumps(told(STREAMS[name]().verdicts()[-1])))
    assert differences(found, golden()[name]) == []


def test_a_limit_below_the_slowest_lines_reads_all_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the lines that are kept end at the percentile, the numbers are the same."""
    monkeypatch.setattr(slow_times, "_BEYOND", 0.0)
    deeper: list[int] = []
    keep_more = ratio_history.RatioHistory._keep_more
    monkeypatch.setattr(
        ratio_history.RatioHistory, "_keep_more", lambda history: (deeper.append(1), keep_more(history))[1]
    )
    found = json.loads(json.dumps(told(STREAMS["many lines"]().verdicts()[-1])))
    assert deeper
    assert differences(found, golden()["many lines"]) == []
