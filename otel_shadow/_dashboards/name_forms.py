"""Forms that the names of metrics take in a Prometheus: which way they went there, and who translated them.

Every query is written once, in the form ``otlp``. Other forms are made of the finished texts, by a table of the names:
the texts are generated, each selector is ``name{matchers}``, and no matcher holds a brace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from otel_shadow import semconv
from otel_shadow._dashboards.panel_queries import COLLECTOR_METRICS
from otel_shadow._dashboards.queries import recorded
from otel_shadow._dashboards.series_names import label, series, suffix
from otel_shadow.cached import cached

_METRICS: Final = (*semconv.METRICS, *COLLECTOR_METRICS)
_HISTOGRAMS: Final = tuple(metric for metric in semconv.METRICS if metric.kind == "histogram")
_LABELS: Final = {label(name): name for metric in _METRICS for name in metric.attributes if label(name) != name}


_NOT_BEFORE, _NOT_AFTER = r"(?<![\w:.])", r"(?![\w:.])"
"""A name is no part of a longer one, nor of a recorded series' name."""


def _any(names: Iterable[str]) -> str:
    return f"({'|'.join(map(re.escape, names))}){_NOT_AFTER}"


_NAME: Final = rf"({'|'.join(series(metric) for metric in _METRICS)})(_bucket|_count)?"
_SELECTOR: Final = re.compile(_NOT_BEFORE + _NAME + _NOT_AFTER + r"(?:\{([^{}]*)\})?")
_LABEL: Final = re.compile(_NOT_BEFORE + _any(_LABELS))
_TEMPLATE: Final = re.compile(r"\$labels\." + _any(_LABELS))
_VARIABLE: Final = re.compile(r"label_values\((.+), (\w+)\)")
_RAW: Final = "|".join(series(metric) for metric in _HISTOGRAMS)
_OF_BUCKETS: Final = re.compile(rf"by \(([^()]*)\) \((\w+)\((?:({_RAW})|({recorded(semconv.NODE_DURATION)}))(?=[{{\[])")
_COUNT: Final = "histogram_count("


@dataclass(frozen=True)
class NameForm:
    """How names stand in one Prometheus.

    Attributes:
        strategy: the ``translation_strategy`` of a Prometheus whose OTLP endpoint gives these names.
        escaped: dots are underscores; else names and labels are as in ``semconv``, in quotation marks (Prometheus 3).
        suffixed: names end in unit and ``_total``.
        classic: a histogram is a series for each bucket (``le``), and none of Prometheus' native ones.
        scraped: the applications are scraped, so that no Collector tells of itself.
    """

    strategy: str
    escaped: bool = True
    suffixed: bool = True
    classic: bool = False
    scraped: bool = False

    def label(self, attribute: str) -> str:
        return label(attribute) if self.escaped else attribute

    def series(self, metric: semconv.Metric) -> str:
        return self.label(metric.name) + (suffix(metric) if self.suffixed else "")

    def expression(self, promql: str) -> str:
        """Return a query of the form ``otlp`` in this form."""
        promql = _of_buckets(promql) if self.classic else promql
        if self.escaped and self.suffixed:
            return promql
        promql = _SELECTOR.sub(self._selector, promql)
        return promql if self.escaped else _LABEL.sub(lambda found: f'"{_LABELS[found[1]]}"', promql)

    def document(self, value: Any) -> Any:
        """Return a dashboard or rules, as parsed JSON or YAML of the form ``otlp``, in this form."""
        if isinstance(value, list):
            return [self.document(item) for item in value]
        if isinstance(value, str):
            return self._text(value)
        if not isinstance(value, dict):
            return value
        if _VARIABLE.fullmatch(str(value.get("query"))):
            return {**value, **self._variable(value["query"])}
        return {
            self._text(key): self.expression(item) if key == "expr" else self.document(item)
            for key, item in value.items()
        }

    @cached
    def _series(self) -> dict[str, str]:
        return {series(metric): self.series(metric) for metric in _METRICS}

    def _selector(self, found: re.Match[str]) -> str:
        name, matchers = self._series[found[1]] + (found[2] or ""), found[3]
        if self.escaped:
            return name if matchers is None else f"{name}{{{matchers}}}"
        return f'{{"{name}"{"," if matchers else ""}{matchers or ""}}}'

    def _text(self, text: str) -> str:
        """Return labels in legends, columns and the templates of alerts."""
        if self.escaped:
            return text
        text = _TEMPLATE.sub(lambda found: f'index $labels "{_LABELS[found[1]]}"', text)
        return _LABEL.sub(lambda found: _LABELS[found[1]], text)

    def _variable(self, query: str) -> dict[str, str]:
        """Return the query of a dashboard's variable; of labels in quotation marks not every Grafana has the values."""
        found = _VARIABLE.fullmatch(query)
        assert found is not None
        selector, name = self.expression(found[1]), self.expression(found[2])
        if name == found[2]:
            return {"query": f"label_values({selector}, {name})"}
        listed = f"query_result(group by ({name}) (last_over_time({selector}[$__range])))"
        return {"query": listed, "regex": '/="([^"]*)"/'}


def _of_buckets(promql: str) -> str:
    """Return a query of native histograms as one of classic ones: their buckets, and their counts."""
    while (start := promql.find(_COUNT)) >= 0:
        end = _closing(promql, start + len(_COUNT))
        promql = promql[:start] + _counts(promql[start + len(_COUNT) : end]) + promql[end + 1 :]
    return _OF_BUCKETS.sub(_bucketed, promql)


def _closing(text: str, start: int) -> int:
    """Return where the parenthesis is closed that was opened just before ``start``."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    raise ValueError(text)


def _counts(promql: str) -> str:
    """Return a sum of histograms as the sum of their numbers of observations; ``le="+Inf"`` is the bucket of all."""
    promql = re.sub(rf"({_RAW})(?=[{{\[])", r"\1_count", promql)
    return re.sub(rf"({recorded(semconv.NODE_DURATION)})\{{", r'\1{le="+Inf",', promql)


def _bucketed(found: re.Match[str]) -> str:
    labels, function, raw, increases = found.groups()
    if increases and found.string.startswith('{le="+Inf"', found.end()):
        return found[0]
    name = f"{raw}_bucket" if raw else increases
    return f"by ({labels}{', ' if labels else ''}le) ({function}({name}"


OTLP: Final = "otlp"
FORMS: Final = {
    OTLP: NameForm("UnderscoreEscapingWithSuffixes"),
    "otlp-without-suffixes": NameForm("UnderscoreEscapingWithoutSuffixes", suffixed=False),
    "prometheus": NameForm("UnderscoreEscapingWithSuffixes", classic=True, scraped=True),
    "utf8": NameForm("NoTranslation", escaped=False, suffixed=False),
    "utf8-with-suffixes": NameForm("NoUTF8EscapingWithSuffixes", escaped=False),
}
"""Forms by the word that ``otel-shadow dashboards --metric-names`` takes."""


def form_of(word: str, histograms: str | None = None) -> NameForm:
    """Return the form of a word, with ``native`` or ``classic`` histograms; default: as the form has them."""
    form = FORMS[word]
    return form if histograms is None else replace(form, classic=histograms == "classic")
