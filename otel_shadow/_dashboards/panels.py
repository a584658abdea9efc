"""Panels in the JSON of Grafana 9.4 and later: what differs between panels is an argument, the rest is here once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]
Size = tuple[int, int]
"""Width in columns of 24, height in rows of Grafana's grid."""
PROMETHEUS: Final = {"type": "prometheus", "uid": "${datasource}"}
TEMPO: Final = {"type": "tempo", "uid": "${tempo}"}
GREEN, AMBER, RED, GREY = "green", "orange", "red", "text"
_LEGEND: Final = {"displayMode": "list", "placement": "bottom"}
_LINE_STYLE: Final = {
    "drawStyle": "line",
    "lineInterpolation": "linear",
    "lineWidth": 2,
    "fillOpacity": 8,
    "gradientMode": "none",
    "showPoints": "never",
    "pointSize": 5,
    "spanNulls": False,
    "barAlignment": 0,
    "axisLabel": "",
    "axisPlacement": "auto",
    "scaleDistribution": {"type": "linear", "log": 2},
    "hideFrom": {"legend": False, "tooltip": False, "viz": False},
    "thresholdsStyle": {"mode": "off"},
}
_FIELDS: Final[dict[str, Json]] = {
    "timeseries": {"color": {"mode": "palette-classic"}, "mappings": []},
    "stat": {"color": {"mode": "thresholds"}, "custom": {}, "mappings": [], "noValue": "no data", "unit": "none"},
    "state-timeline": {"color": {"mode": "thresholds"}, "custom": {"fillOpacity": 70, "lineWidth": 0}},
    "table": {"custom": {"align": "auto", "displayMode": "auto", "filterable": False}, "unit": ""},
}
_OPTIONS: Final[dict[str, Json]] = {
    "timeseries": {"legend": _LEGEND | {"calcs": []}, "tooltip": {"mode": "multi", "sort": "none"}},
    "stat": {
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "state-timeline": {
        "alignValue": "left",
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "legend": _LEGEND,
        "tooltip": {"mode": "single"},
    },
    "table": {"showHeader": True, "sortBy": []},
}
"""What all panels of one type share: properties of their fields, and options of the panel."""


def query(expr: str, legend: str = "__auto", ref: str = "A", *, instant: bool = False, exemplars: bool = False) -> Json:
    """Return a query of Prometheus: over the time range, or (``instant``) at its end and as a table."""
    return {
        "datasource": PROMETHEUS,
        "refId": ref,
        "expr": expr,
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
        "exemplar": exemplars,
        "format": "table" if instant else "time_series",
        "editorMode": "code",
    }


def trace_query(traceql: str) -> Json:
    """Return a TraceQL query of Tempo, or the query of one trace by its id."""
    kind = {"queryType": "traceql", "tableType": "spans", "limit": 50}
    return {"datasource": TEMPO, "refId": "A", "query": traceql, **kind}


def legend(*labels: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in labels)


def steps(*colours: tuple[float | None, str]) -> list[Json]:
    """Return thresholds: each colour holds from its value on; the first value is None."""
    return [{"color": colour, "value": value} for value, colour in colours]


def words(names: Mapping[Any, str], colours: Mapping[Any, str] | None = None) -> list[Json]:
    """Return a mapping of values to words, and to colours where ``colours`` has one."""
    options: Json = {}
    for index, (value, text) in enumerate(names.items()):
        options[str(value)] = {"text": text, "index": index}
        if colours and value in colours:
            options[str(value)]["color"] = colours[value]
    return [{"type": "value", "options": options}]


def column(name: str, **properties: Any) -> Json:
    """Return the properties of the field ``name``; keywords are Grafana's property ids with ``_`` for ``.``."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("_", "."), "value": value} for key, value in properties.items()],
    }


def matching(pattern: str, **properties: Any) -> Json:
    """Return the properties of all fields whose name matches the regular expression ``pattern``."""
    return {**column(pattern, **properties), "matcher": {"id": "byRegexp", "options": pattern}}


def columns(names: Mapping[str, str], hidden: Sequence[str], *, ordered: bool = False) -> Json:
    """Return the transformation that renames the columns of a table, hides some and (``ordered``) keeps their order."""
    order = {"indexByName": {name: index for index, name in enumerate(names)}} if ordered else {}
    options = {"renameByName": dict(names), "excludeByName": dict.fromkeys(hidden, True), **order}
    return {"id": "organize", "options": options}


def matrix(rows: str, columns: str) -> Json:
    """Return the transformation that makes a matrix of values from two labels; its corner is ``rows\\columns``."""
    return {"id": "groupingToMatrix", "options": {"rowField": rows, "columnField": columns, "valueField": "Value"}}


_BOUND: Final = matching(
    "/bound/",
    color={"mode": "fixed", "fixedColor": RED},
    custom_lineStyle={"fill": "dash", "dash": [8, 8]},
    custom_lineWidth=2,
    custom_fillOpacity=0,
)
"""Bounds are series of the application: panels draw them and repeat none."""


def row(title: str) -> Json:
    return _frame("row", title, (24, 1), [], []) | {"collapsed": False, "panels": []}


def trace(title: str, description: str, trace_id: str) -> Json:
    """Return one trace with all its spans, as Grafana's Explore shows it."""
    framed = _frame("traces", title, (24, 14), [trace_query(trace_id)], [])
    return framed | {"description": description, "datasource": TEMPO, "options": {}}


def panel(
    kind: str,
    title: str,
    description: str,
    targets: Sequence[Json],
    size: Size,
    *,
    thresholds: Sequence[Json] = ({"color": GREY, "value": None},),
    fields: Json | None = None,
    options: Json | None = None,
    overrides: Sequence[Json] = (),
    transformations: Sequence[Json] = (),
) -> Json:
    """Return a panel of Grafana's type ``kind``, with the data source of its first target.

    ``fields`` and ``options`` come on top of those that every panel of this type has; ``overrides`` are made by
    ``column`` and ``matching``.
    """
    framed = _frame(kind, title, size, targets, thresholds)
    framed["fieldConfig"]["defaults"].update(_FIELDS[kind], **(fields or {}))
    framed["fieldConfig"]["overrides"] = list(overrides)
    own: Json = {"mappings": []} if kind == "table" else {}
    return {
        **framed,
        **own,
        "description": description,
        "datasource": targets[0]["datasource"],
        "options": _OPTIONS[kind] | (options or {}),
        "transformations": list(transformations),
    }


def lines(
    title: str,
    description: str,
    queries: Mapping[str, str],
    unit: str,
    size: Size = (12, 8),
    *,
    exemplars: bool = False,
    stacked: bool = False,
) -> Json:
    """Return time series; ``queries`` maps legends to expressions, and a legend with ``bound`` is drawn as a bound."""
    targets = [
        query(expr, name, chr(65 + index), exemplars=exemplars and "bound" not in name)
        for index, (name, expr) in enumerate(queries.items())
    ]
    style = _LINE_STYLE | {"stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    fields = {"custom": style | ({"fillOpacity": 30} if stacked else {}), "unit": unit}
    green = steps((None, GREEN))
    return panel("timeseries", title, description, targets, size, thresholds=green, fields=fields, overrides=[_BOUND])


def _frame(kind: str, title: str, size: Size, targets: Sequence[Json], thresholds: Sequence[Json]) -> Json:
    return {
        "type": kind,
        "title": title,
        "gridPos": {"w": size[0], "h": size[1]},
        "targets": list(targets),
        "fieldConfig": {"defaults": {"thresholds": {"mode": "absolute", "steps": list(thresholds)}}},
        "links": [],
        "transformations": [],
        "transparent": False,
    }
