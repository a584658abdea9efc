"""The frame of a dashboard: variables, links, the places of its panels, and its JSON without what Grafana outgrew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from grafanalib._gen import DashboardEncoder
from grafanalib.core import Dashboard, DashboardLink, Panel, RowPanel, Template, Templating, Time

from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards.panels import PROMETHEUS, at
from otel_shadow._dashboards.queries import WINDOWS

TAG: Final = "otel-shadow"
COLUMNS: Final = 24
SCHEMA: Final = 37
"""Grafana 9.4's; newer ones migrate from it."""
JAEGER_URL: Final = "http://localhost:16686"
_OUTGROWN: Final = frozenset(
    {
        "__inputs",
        "cacheTimeout",
        "columns",
        "editable",
        "error",
        "fontSize",
        "height",
        "hideControls",
        "hideTimeOverride",
        "minSpan",
        "rows",
        "sharedCrosshair",
        "span",
        "tagValuesQuery",
        "tagsQuery",
        "useTags",
    }
)
"""Fields that grafanalib still writes and Grafana no longer reads."""


class Choice(Template):  # type: ignore[misc]  # grafanalib has no types
    """A variable of several values, all of them chosen at first, in Grafana's own words for "all"."""

    def to_json_data(self) -> dict[str, Any]:
        """As Grafana reads it."""
        everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
        return {**super().to_json_data(), "current": everything}


def row(title: str) -> RowPanel:
    """A heading."""
    return RowPanel(title=title, gridPos=at(COLUMNS, 1), maxDataPoints=None)


def board(
    uid: str, title: str, description: str, panels: Sequence[Panel], *, traces: bool = False, since: str = "now-24h"
) -> Dashboard:
    """A dashboard; ``traces`` adds the variables that trace panels need."""
    return Dashboard(
        uid=uid,
        title=f"Shadow: {title}",
        description=description,
        tags=[TAG],
        links=[DashboardLink(title="Shadow", tags=[TAG], includeVars=True, keepTime=True)],
        templating=Templating([*_variables(), *(_trace_variables() if traces else ())]),
        time=Time(since, "now"),
        timezone="browser",
        refresh="1m",
        graphTooltip=1,
        schemaVersion=SCHEMA,
        panels=_placed(panels),
    ).auto_panel_ids()


def as_json(dashboard: Dashboard) -> str:
    """The file's text."""
    return json.dumps(as_data(dashboard), indent=2, sort_keys=True) + "\n"


def as_data(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it, without nulls and outgrown fields."""
    raw = json.loads(json.dumps(dashboard.to_json_data(), cls=DashboardEncoder))
    cleaned: dict[str, Any] = _clean(raw)
    cleaned["panels"] = [_without_table_colour(panel) for panel in cleaned["panels"]]
    return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        is_step = value.keys() == {"color", "value"}  # the first threshold's value is null by contract
        return {
            key: _clean(item) for key, item in value.items() if key not in _OUTGROWN and (item is not None or is_step)
        }
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _without_table_colour(panel: dict[str, Any]) -> dict[str, Any]:
    """Grafanalib writes a table's colour mode beside the panel's fields, where nobody reads it."""
    return {key: item for key, item in panel.items() if key != "color"}


def _placed(panels: Sequence[Panel]) -> list[Panel]:
    """Panels from left to right, wrapped where a line is full."""
    x = y = tallest = 0
    for panel in panels:
        size = panel.gridPos
        if x + size["w"] > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        panel.gridPos = {**size, "x": x, "y": y}
        x, tallest = x + size["w"], max(tallest, size["h"])
    return list(panels)


def _query(name: str, label: str, query: str) -> Template:
    return Choice(
        name=name,
        label=label,
        query=query,
        dataSource=PROMETHEUS,
        multi=True,
        includeAll=True,
        allValue=".*",
        refresh=2,
    )


def _source(name: str, label: str, kind: str) -> Template:
    return Template(name=name, label=label, query=kind, type="datasource")


def _variables() -> list[Template]:
    return [
        _source("datasource", "Metrics", "prometheus"),
        _query("service", "Service", q.VARIABLE_SERVICE),
        _query("graph", "Graph", q.VARIABLE_GRAPH),
        _query("node", "Node", q.VARIABLE_NODE),
        Template(name="window", label="Window", query=",".join(WINDOWS), type="custom", default="24h"),
    ]


def _trace_variables() -> list[Template]:
    return [
        _source("tempo", "Traces", "tempo"),
        Template(name="jaeger", label="Jaeger", query=JAEGER_URL, type="textbox", default=JAEGER_URL),
        Template(name="trace", label="Trace id", query="", type="textbox", default=""),
    ]
