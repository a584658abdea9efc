"""What is added to the house is added everywhere: each test fails until an extension is complete."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from otel_shadow import ShadowConfig, ShadowTrafficManager, Sink, _telemetry, semconv
from otel_shadow._dashboards.board_sla import TITLES
from otel_shadow.policy import Policy
from otel_shadow.verdict.criteria import MEASURES
from otel_shadow.verdict.titles import TITLES as WORDS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_a_criterion_is_named_wherever_criteria_are_told() -> None:
    """Policy, judgement, words, dashboard and documentation have the same criteria."""
    criteria = set(semconv.CRITERIA)
    assert set(Policy().objectives()) == criteria
    assert set(MEASURES) == criteria
    assert set(WORDS) == criteria
    assert set(TITLES) - {semconv.CRITERION_OVERALL} == criteria
    decided = (DOCS / "statistics.md").read_text().split("## What is decided", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", decided, re.MULTILINE)
    assert rows == list(semconv.CRITERIA)


def test_every_sink_of_ours_gets_the_records(tmp_path: Path) -> None:
    """A manager hands its records to each class of sink that the telemetry has."""
    ours: set[Any] = {
        item
        for module in pkgutil.iter_modules(_telemetry.__path__, f"{_telemetry.__name__}.")
        for item in vars(import_module(module.name)).values()
        if isinstance(item, type) and issubclass(item, Sink) and item.__module__ == module.name
    }
    manager = ShadowTrafficManager(ShadowConfig(), log_file=str(tmp_path / "app.log"))
    sinks = manager.record_queue.sinks
    fed = {type(sink) for sink in (*sinks, *(getattr(sink, "_inner", sink) for sink in sinks))}
    manager.shutdown(1)
    assert len(ours) >= 3
    assert ours <= fed
