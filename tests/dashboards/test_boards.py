"""The dashboards: generated, committed, loadable into Grafana's own types, and complete in what they tell people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import ROOT

from otel_shadow import semconv
from otel_shadow._dashboards import panel_queries, write_dashboards
from otel_shadow._dashboards.series_names import label, series

UIDS = ("otel-shadow-health", "otel-shadow-live", "otel-shadow-pairs", "otel-shadow-sla")
COMMITTED = ROOT / "dashboards"
NOT_IN_SDK = {".panels[].targets[].tableType"}
"""Fields that Grafana reads and the foundation SDK's types don't know."""
OURS = re.compile(r"(?:node:|graph:)?shadow_[a-z0-9_:]+")


def board(uid: str) -> dict[str, Any]:
    return dict(json.loads((COMMITTED / "grafana" / f"{uid}.json").read_text()))


def panels(uid: str) -> list[dict[str, Any]]:
    return [panel for panel in board(uid)["panels"] if panel["type"] != "row"]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, value


def targets(kind: str) -> list[str]:
    found = [target for uid in UIDS for panel in panels(uid) for target in panel.get("targets", ())]
    return [str(target.get("expr", target.get("query"))) for target in found if target["datasource"]["type"] == kind]


def test_committed_files_are_what_the_command_writes(tmp_path: Path) -> None:
    """Regenerating changes nothing."""
    written = {path.relative_to(tmp_path): path.read_text() for path in write_dashboards(tmp_path)}
    committed = {name: (COMMITTED / name).read_text() for name in written}
    assert committed == written
    assert {name.stem for name in written if name.suffix == ".json"} == set(UIDS)


@pytest.mark.parametrize("uid", UIDS)
def test_grafanas_own_types_keep_everything(uid: str) -> None:
    """The foundation SDK reads each dashboard and writes it back with nothing lost but what is listed here."""
    pytest.importorskip("grafana_foundation_sdk", reason="pip install grafana-foundation-sdk")
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard

    plugins.register_default_plugins()
    ours = board(uid)
    theirs = json.loads(JSONEncoder(sort_keys=True, indent=2).encode(Dashboard.from_json(ours)))
    kept = {repr(leaf) for leaf in leaves(theirs)}
    lost = {path for path, value in leaves(ours) if repr((path, value)) not in kept and value is not None}
    assert lost <= NOT_IN_SDK


@pytest.mark.parametrize("uid", UIDS)
def test_every_panel_explains_itself(uid: str) -> None:
    """Each has a title, a description, a data source by object and, where it shows numbers, a unit."""
    assert board(uid)["uid"] == uid
    for panel in panels(uid):
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["datasource"]["type"] in ("prometheus", "tempo"), panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"], panel["title"]
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@pytest.mark.parametrize("uid", UIDS)
def test_panels_fit_without_overlap(uid: str) -> None:
    """No two panels share a cell of the 24 columns."""
    seen: set[tuple[int, int]] = set()
    for panel in board(uid)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & seen, panel["title"]
        seen |= cells


def test_variables() -> None:
    """Every dashboard has data source, service, graph, node and window; the latter from one hour to two days."""
    for uid in UIDS:
        variables = {variable["name"]: variable for variable in board(uid)["templating"]["list"]}
        assert variables.keys() >= {"datasource", "service", "graph", "node", "window"}
        assert variables["window"]["query"] == "1h,24h,48h"
        for name in ("service", "graph", "node"):
            assert variables[name]["current"]["value"] == ["$__all"]


def test_links_keep_every_variable() -> None:
    """Choosing a pair in a list keeps the board's choice of service, graph, node and the rest."""
    names = {variable["name"] for variable in board("otel-shadow-pairs")["templating"]["list"]} - {"trace"}
    texts = [
        value
        for path, value in leaves(board("otel-shadow-pairs"))
        if path.endswith(".url") and "var-trace" in str(value)
    ]
    assert texts
    for text in texts:
        assert set(re.findall(r"\$\{(\w+):queryparam\}", text)) == names


def test_prometheus_queries_use_our_names_only() -> None:
    """Every metric and label with our prefix exists in semconv (recorded series are named after them)."""
    labels = {label(value) for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    known = {series(metric) for metric in semconv.METRICS} | labels
    recorded = set(re.findall(r"record: (\S+)", (COMMITTED / "rules" / "recording.yaml").read_text()))
    rules = (COMMITTED / "rules" / "alerts.yaml").read_text() + (COMMITTED / "rules" / "recording.yaml").read_text()
    expressions = [line for line in rules.splitlines() if "expr:" in line] + targets("prometheus")
    used = {name for expression in expressions for name in OURS.findall(expression)}
    assert used - known - recorded == set()


def test_units_give_one_name_whoever_translates_them() -> None:
    """A unit is seconds or a word in braces: of ``1`` some translators make ``_ratio`` and others nothing."""
    assert {metric.unit for metric in semconv.METRICS if not re.fullmatch(r"\{[a-z]+\}", metric.unit)} == {"s"}


def test_trace_queries_use_our_names_only() -> None:
    """Every span name and attribute of the TraceQL queries exists in semconv."""
    names = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    queries = targets("tempo")
    assert len(queries) >= 4
    for query in queries:
        for attribute in re.findall(r"span\.([a-z_0-9.]+)", query):
            assert attribute in names, query
        for span in re.findall(r'name = "([^"]+)"', query):
            assert span in names, query


def test_no_query_is_made_to_look_full() -> None:
    """Nothing is filled with a zero that was never measured."""
    assert not [expr for expr in targets("prometheus") if "vector(" in expr]


def test_bounds_are_drawn_from_the_applications_own_series() -> None:
    """No panel repeats a bound of the policy: thresholds are zero, colours or absent."""
    for uid in UIDS:
        for panel in panels(uid):
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert {step["value"] for step in steps} <= {None, 0}, panel["title"]
    assert series(semconv.SLA_OBJECTIVE) in panel_queries.bound(semconv.CRITERION_PARITY)


def test_slow_pairs_are_those_that_the_collector_keeps() -> None:
    """The dashboard lists as slow what the Collector's sampling keeps as slow."""
    collector = (ROOT / "collector" / "config.yaml").read_text()
    assert re.findall(r"COLLECTOR_SLOW_DELTA_MS:-(\d+)", collector) == [str(panel_queries.SLOW_MS)]


def test_a_missing_extra_gives_the_pip_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without PyYAML the command says how to install it."""
    import sys

    from otel_shadow.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'otel-shadow\[dashboards\]'"):
        write_dashboards(tmp_path)
