"""``otel-shadow verdict --prometheus URL``: what counts alone can tell, and what they can't. It is never a verdict."""

from __future__ import annotations

import base64
import json
import math
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._dashboards import queries
from otel_shadow._dashboards.name_forms import FORMS, OTLP, NameForm, form_of
from otel_shadow._dashboards.series_names import SERVICE
from otel_shadow._report import terminal
from otel_shadow._report.blocks import Cell, Column, Document, Section, Table, Text
from otel_shadow._report.credentials import shown_address
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import EvidenceError
from otel_shadow.policy import Policy
from otel_shadow.verdict import titles, units

EXIT_NOT_ENOUGH = 3
_TIMEOUT_S = 30.0
_LARGEST = 64 << 20
"""Bytes of an answer that are read: it has one number of each node."""
_EXAMPLE = "http://localhost:9090"
UNKNOWN = (
    "sessions: turns of one session are not independent, and the session is the unit of the evidence",
    "a band that stays valid while you look: an estimate beside a bound proves nothing",
    "accepted differences ([[accept]]), coverage by intent, blocks of hours, V2 builds",
    "whether V1's own value reached every caller (it is recorded per pair, in the log)",
)
"""What takes the log: counts alone can't show it."""
Place = tuple[str, ...]
"""Service, graph and node."""


def show_counts(url: str, config: Path | None = None) -> int:
    """Print the counts of the policy's window from the Prometheus whose base address is ``url``.

    The exit code is 3: counts are not enough for a verdict, whatever they say. An EvidenceError says that ``url`` does
    not answer, is no Prometheus, or holds no metric of otel-shadow.
    """
    policy = ShadowConfig.load(config).sla
    rows = sorted(_rows(url, policy), key=lambda row: row[0])
    if not rows:
        hours = f"{policy.window_length_hours:g} h"
        raise EvidenceError(
            f"{shown_address(url)}: holds no metrics of otel-shadow in the last {hours}; is OTLP export on?"
        )
    columns = (Column("Criterion"), Column("Estimate", number=True), Column("Bound", number=True),
               Column("From about", number=True))  # fmt: skip
    nodes = (
        Section(
            f"{place[2]}  (graph {place[1]}, service {place[0]})",
            (Table(columns, tuple(cells for of, cells in rows if of == place)),),
        )
        for place in dict.fromkeys(place for place, _ in rows)
    )
    unknown = Section(
        "What counts alone can't tell (the log can: otel-shadow verdict LOG)",
        tuple(Text(f"- {one}") for one in UNKNOWN),
    )
    headline = (
        f"Counts of the last {policy.window_length_hours:g} h in {shown_address(url)}; exit code {EXIT_NOT_ENOUGH}"
    )
    document = Document("counts", "Counts", headline, (*nodes, unknown), heading="No verdict")
    terminal.show(document, terminal.console(sys.stdout))
    return EXIT_NOT_ENOUGH


def _form(url: str, window: str) -> NameForm:
    """Return the form of names in which this Prometheus has most series of a metric that every execution has."""
    forms = (form_of(word, histograms) for word in FORMS for histograms in ("native", "classic"))
    told = {form.series(semconv.NODE_DURATION) + ("_count" if form.classic else ""): form for form in forms}
    named = f'__name__=~"{semconv.NODE_DURATION.name}(_seconds)?(_count)?"'  # a dot matches the underscore, too
    found = _ask(url, f"count by (__name__) (last_over_time({{{named}}}[{window}]))", ("__name__",))
    known = {name: number for (name,), number in found.items() if name in told}
    return told[max(known, key=lambda name: known[name])] if known else FORMS[OTLP]


def _rows(url: str, policy: Policy) -> Iterator[tuple[Place, tuple[Cell, ...]]]:
    window = f"{round(policy.window_length_hours * 60)}m"
    form = _form(url, window)
    place = (SERVICE, form.label(semconv.GRAPH), form.label(semconv.NODE))

    def asked(expression: str) -> dict[Place, float]:
        return _ask(url, form.expression(queries.unrecorded(expression)), place)

    resting = queries.evidence("node", window)
    for criterion, expression in queries.estimates("node", window).items():
        about = titles.TITLES[criterion]
        events = asked(resting[criterion])
        for where, estimate in asked(expression).items():
            if not math.isfinite(estimate):
                continue  # no traffic: nothing over nothing
            objectives = policy.model_copy(update=policy.bounds(where[2]).model_dump()).objectives()
            number = events.get(where, 0.0)
            cells = (
                Cell(about.title),
                Cell(titles.value(about.quantity, estimate)),
                Cell(titles.bound(about.quantity, objectives[criterion], about.limit)),
                Cell(units.plural(round(number) if math.isfinite(number) else 0, about.event)),
            )
            yield where, cells


def _ask(url: str, expression: str, labels: tuple[str, ...]) -> dict[Place, float]:
    """Return the value of each series by the values of its ``labels``."""
    if not url.startswith(("http://", "https://")):
        raise EvidenceError(f"--prometheus {shown_address(url)}: expected a base address such as {_EXAMPLE}")
    try:
        answer = json.loads(_answer(url, expression))
        if answer.get("status") == "error":
            told = f"{answer.get('errorType', 'error')}: {answer.get('error', '')}"
            raise EvidenceError(f"--prometheus {shown_address(url)}: {told[:300]}")
        return dict(_row(row, labels) for row in answer["data"]["result"])
    except _NO_ANSWER as error:
        why = f"no answer of a Prometheus ({_reason(error)}); expected its base address, such as {_EXAMPLE}"
        raise EvidenceError(f"--prometheus {shown_address(url)}: {why}") from None


_NO_ANSWER = (
    OSError, HTTPException, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
)  # fmt: skip
"""What a server that is down, or an answer of any form, may raise."""


def _reason(error: Exception) -> str:
    """Return why there is no answer, without anything of the address."""
    if isinstance(error, OSError):
        return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
    if isinstance(error, _TooLargeError):
        return f"more than {_LARGEST >> 20} MiB"
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError | RecursionError):
        return "what came is no JSON"
    return "what came has another form" if not isinstance(error, HTTPException) else type(error).__name__


class _TooLargeError(ValueError):
    """Error that an answer is larger than any that is read."""


def _row(row: Mapping[str, Any], labels: tuple[str, ...]) -> tuple[Place, float]:
    return tuple(str(row["metric"].get(name, "")) for name in labels), float(row["value"][1])


def _answer(url: str, expression: str) -> bytes:
    """Return the body of the answer, also that of a refusal, which says why."""
    plain, credentials = _parts(url)
    address = f"{plain.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    request = urllib.request.Request(address)  # noqa: S310 - the user's own URL
    if credentials:  # not for whoever the answer points to
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(credentials.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            return _limited(answer)
    except urllib.error.HTTPError as refused:
        body = _limited(refused)
        if body.lstrip()[:1] != b"{":
            raise
        return body


def _limited(answer: Any) -> bytes:
    body: bytes = answer.read(_LARGEST + 1)
    if len(body) > _LARGEST:
        raise _TooLargeError
    return body


def _parts(url: str) -> tuple[str, str]:
    """Return the address without credentials, and these as ``user:password``."""
    parts = urllib.parse.urlsplit(url)
    own, at, host = parts.netloc.rpartition("@")
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), urllib.parse.unquote(own) if at else ""
