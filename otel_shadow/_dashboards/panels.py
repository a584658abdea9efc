"""Panels: grafanalib's where it has them, small classes of ours where Grafana can more than grafanalib says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attr
from grafanalib.core import Panel, Stat, StateTimeline, Table, TimeSeries

PROMETHEUS: Final = {"type": "prometheus", "uid": "${datasource}"}
TEMPO: Final = {"type": "tempo", "uid": "${tempo}"}
GREEN, AMBER, RED, GREY = "green", "orange", "red", "text"
Json = dict[str, Any]


@attr.s
class Query:
    """A query of Prometheus; what grafanalib's ``Target`` lacks is the exemplars, the data source and the range."""

    expr = attr.ib(type=str)
    legend = attr.ib(default="__auto", type=str)
    ref = attr.ib(default="A", type=str)
    instant = attr.ib(default=False, type=bool)
    exemplars = attr.ib(default=False, type=bool)

    def to_json_data(self) -> Json:
        """As Grafana reads it."""
        return {
            "datasource": PROMETHEUS,
            "refId": self.ref,
            "expr": self.expr,
            "legendFormat": self.legend,
            "instant": self.instant,
            "range": not self.instant,
            "exemplar": self.exemplars,
            "format": "table" if self.instant else "time_series",
            "editorMode": "code",
        }


@attr.s
class TraceQuery:
    """A TraceQL query of Tempo, or one trace by its id."""

    query = attr.ib(type=str)
    ref = attr.ib(default="A", type=str)
    limit = attr.ib(default=50, type=int)

    def to_json_data(self) -> Json:
        """As Grafana reads it."""
        return {
            "datasource": TEMPO,
            "refId": self.ref,
            "query": self.query,
            "queryType": "traceql",
            "limit": self.limit,
            "tableType": "spans",
        }


class Traces(Panel):  # type: ignore[misc]  # grafanalib has no types
    """One trace, as Explore shows it."""

    def to_json_data(self) -> Json:
        """As Grafana reads it."""
        return dict(self.panel_json({"type": "traces", "options": {}}))


def at(panel_width: int, height: int) -> Json:
    """A place of this size; ``boards`` moves it where it fits."""
    return {"w": panel_width, "h": height, "x": 0, "y": 0}


def steps(*colours: tuple[float | None, str]) -> list[Json]:
    """Thresholds: the colour from each value on; the first has none."""
    return [{"color": colour, "value": value} for value, colour in colours]


def words(names: Mapping[Any, str], colours: Mapping[Any, str] | None = None) -> list[Json]:
    """Values shown as words, and in colours."""
    options: Json = {}
    for index, (value, text) in enumerate(names.items()):
        options[str(value)] = {"text": text, "index": index}
        if colours and value in colours:
            options[str(value)]["color"] = colours[value]
    return [{"type": "value", "options": options}]


def column(name: str, **properties: Any) -> Json:
    """An override for one field; keywords are property ids with ``_`` for ``.``."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("_", "."), "value": value} for key, value in properties.items()],
    }


def matching(pattern: str, **properties: Any) -> Json:
    """The same for all fields whose name matches."""
    return {**column(pattern, **properties), "matcher": {"id": "byRegexp", "options": pattern}}


_BOUND: Final = matching(
    "/bound/",
    color={"mode": "fixed", "fixedColor": RED},
    custom_lineStyle={"fill": "dash", "dash": [8, 8]},
    custom_lineWidth=2,
    custom_fillOpacity=0,
)
"""Bounds are series of the application; they are drawn, never repeated."""


def lines(
    title: str, description: str, queries: Mapping[str, str], unit: str, *, exemplars: bool = False, **more: Any
) -> TimeSeries:
    """Time series; ``queries`` map legends to expressions; a legend with ``bound`` is drawn as one."""
    targets = [
        Query(expr, legend, chr(65 + index), exemplars=exemplars and "bound" not in legend)
        for index, (legend, expr) in enumerate(queries.items())
    ]
    settings = {
        "gridPos": at(12, 8),
        "lineWidth": 2,
        "fillOpacity": 8,
        "showPoints": "never",
        "tooltipMode": "multi",
        "legendDisplayMode": "list",
        "stacking": {"mode": "none", "group": "A"},
        "thresholds": steps((None, GREEN)),
        "overrides": [_BOUND],
        "spanNulls": False,
        "maxDataPoints": None,
    }
    return TimeSeries(
        title=title, description=description, dataSource=PROMETHEUS, targets=targets, unit=unit, **settings | more
    )


def figure(title: str, description: str, expr: str, unit: str = "none", **more: Any) -> Stat:
    """One number, large."""
    settings = {
        "gridPos": at(6, 8),
        "reduceCalc": "lastNotNull",
        "graphMode": "none",
        "colorMode": "background",
        "color": {"mode": "thresholds"},
        "noValue": "no data",
        "maxDataPoints": None,
        "thresholds": steps((None, GREY)),
    }
    return Stat(
        title=title,
        description=description,
        dataSource=PROMETHEUS,
        targets=[Query(expr)],
        format=unit,
        **settings | more,
    )


def table(title: str, description: str, targets: Sequence[Query | TraceQuery], **more: Any) -> Table:
    """A table; its source is that of its first target."""
    source = TEMPO if isinstance(targets[0], TraceQuery) else PROMETHEUS
    settings = {"gridPos": at(12, 8), "maxDataPoints": None, "thresholds": steps((None, GREY)), "span": None}
    return Table(title=title, description=description, dataSource=source, targets=list(targets), **settings | more)


def states(title: str, description: str, expr: str, legend: str, mappings: list[Json], **more: Any) -> StateTimeline:
    """States over time."""
    settings = {"gridPos": at(12, 8), "maxDataPoints": None, "thresholds": steps((None, GREY))}
    return StateTimeline(
        title=title,
        description=description,
        dataSource=PROMETHEUS,
        targets=[Query(expr, legend)],
        mappings=mappings,
        **settings | more,
    )
