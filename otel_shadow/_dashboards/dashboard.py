"""Frame of a dashboard: variables, links, the places of its panels, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from grafanalib._gen import DashboardEncoder
from grafanalib.core import Dashboard, DashboardLink, Template, Templating, Time

from otel_shadow._dashboards import panel_queries as q
from otel_shadow._dashboards.panels import PROMETHEUS, Json
from otel_shadow._dashboards.queries import WINDOWS

TAG: Final = "otel-shadow"
COLUMNS: Final = 24
SCHEMA: Final = 37
"""Schema version of Grafana 9.4, from which later versions migrate."""
JAEGER_URL: Final = "http://localhost:16686"
_OUTGROWN: Final = frozenset(
    ["__inputs", "editable", "hideControls", "rows", "sharedCrosshair", "tagValuesQuery", "tagsQuery", "useTags"]
)
"""Fields that grafanalib still writes and Grafana no longer reads."""


class Encoder(DashboardEncoder):  # type: ignore[misc]  # grafanalib has no types
    """Encoder that leaves out what is not set and what Grafana outgrew."""

    def default(self, value: Any) -> Json:
        fields = super().default(value)
        return {key: item for key, item in fields.items() if item is not None and key not in _OUTGROWN}


class Variable(Template):  # type: ignore[misc]  # grafanalib has no types
    """Variable of a dashboard, its choice written as Grafana does: all values, one of them, or nothing yet."""

    def to_json_data(self) -> Json:
        fields = super().to_json_data()
        everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
        chosen = {key: value for key, value in fields["current"].items() if value is not None}
        return {**fields, "current": everything if self.includeAll else chosen}


def dashboard(
    uid: str, title: str, description: str, panels: Sequence[Json], *, traces: bool = False, since: str = "now-24h"
) -> Dashboard:
    """Return a dashboard of ``panels``, placed in their order; ``traces`` adds the variables that trace panels need."""
    return Dashboard(
        uid=uid,
        title=f"Shadow: {title}",
        description=description,
        tags=[TAG],
        links=[DashboardLink(title="Shadow", tags=[TAG], includeVars=True, keepTime=True)],
        templating=Templating(list(_variables(traces))),
        time=Time(since, "now"),
        timezone="browser",
        refresh="1m",
        graphTooltip=1,
        schemaVersion=SCHEMA,
        panels=list(_placed(panels)),
    )


def without_row(board: Json, title: str) -> Json:
    """Return a dashboard without a row, if it has one, and its panels: what follows it, for it is the last."""
    places = [number for number, panel in enumerate(board["panels"]) if panel["title"] == title]
    return {**board, "panels": board["panels"][: places[0]]} if places else board


def as_json(board: Dashboard | Json) -> str:
    return json.dumps(board, indent=2, sort_keys=True, cls=Encoder) + "\n"


def _placed(panels: Sequence[Json]) -> Iterator[Json]:
    """Yield numbered panels from left to right, wrapped where a line is full."""
    x = y = tallest = 0
    for number, panel in enumerate(panels, start=1):
        size = panel["gridPos"]
        if x + size["w"] > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield {**panel, "id": number, "gridPos": {**size, "x": x, "y": y}}
        x, tallest = x + size["w"], max(tallest, size["h"])


def _variables(traces: bool) -> Iterator[Variable]:
    yield Variable(name="datasource", label="Metrics", query="prometheus", type="datasource")
    several = {"refresh": 2, "multi": True, "includeAll": True, "allValue": ".*"}
    for name, query in q.VARIABLES.items():
        yield Variable(name=name, label=name.capitalize(), query=query, dataSource=PROMETHEUS, **several)
    yield Variable(name="window", label="Window", query=",".join(WINDOWS), type="custom", default="24h")
    if traces:
        yield Variable(name="tempo", label="Traces", query="tempo", type="datasource")
        yield Variable(name="jaeger", label="Jaeger", query=JAEGER_URL, type="textbox", default=JAEGER_URL)
        yield Variable(name="trace", label="Trace id", query="", type="textbox", default="")
