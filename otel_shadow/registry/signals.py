"""Every span and event with its attributes, and the conditions under which spans and metrics have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from otel_shadow import semconv

ALWAYS: Final = ""
"""In place of a condition: the attribute is always there."""
_V2_FAILED: Final = "V2 failed"


@dataclass(frozen=True, slots=True)
class SpanConvention:
    """Kind of span.

    Arguments:
        name: the span's.
        brief: what it is around, in a sentence.
        attributes: under which condition it has which.
    """

    name: str
    brief: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EventConvention:
    """Kind of log event; its body is a log line.

    Arguments:
        name: the event's.
        brief: when it is written, in a sentence.
    """

    name: str
    brief: str


_COMMON: Final[Mapping[str, str]] = {
    semconv.GRAPH: ALWAYS,
    semconv.NODE: ALWAYS,
    semconv.MODE: ALWAYS,
    semconv.ARM: ALWAYS,
    semconv.VERSION: ALWAYS,
    semconv.V2_BUILD: ALWAYS,
    semconv.PAIR_ID: ALWAYS,
    semconv.SESSION_ID: ALWAYS,
    semconv.GEN_AI_AGENT_NAME: ALWAYS,
    semconv.GEN_AI_CONVERSATION_ID: "the run has a thread",
}
AT_START: Final = (semconv.GRAPH, semconv.NODE, semconv.MODE, semconv.ARM, semconv.VERSION)
"""What a span has when it starts, so that a sampler sees it; all else follows at its end."""

SPANS: Final = (
    SpanConvention(
        semconv.SPAN_V1_NODE,
        "Around V1, current while it runs. In live mode: V1 that answers in place of a V2 that failed.",
        {
            **_COMMON,
            semconv.FALLBACK_REASON: "V1 answers in place of a live V2",
            semconv.ERROR_TYPE: "V1 raised",
        },
    ),
    SpanConvention(
        semconv.SPAN_V2_NODE,
        "Around V2 that answers in live mode, current while it runs.",
        {**_COMMON, semconv.ERROR_TYPE: _V2_FAILED, semconv.V2_LOCATION: _V2_FAILED},
    ),
    SpanConvention(
        semconv.SPAN_V2_SHADOW,
        "Around a shadow run, beside V1's span and linked to it, with what is known of the pair.",
        {
            **_COMMON,
            semconv.STATUS: ALWAYS,
            semconv.COMPARISON: ALWAYS,
            semconv.V1_LATENCY_MS: ALWAYS,
            semconv.V2_LATENCY_MS: ALWAYS,
            semconv.LATENCY_DELTA_MS: ALWAYS,
            semconv.DIFF_FIELDS: ALWAYS,
            semconv.V1_SERVED: ALWAYS,
            semconv.CONFIG_DIGEST: ALWAYS,
            semconv.ORIGINAL_TARGET: "V1 returned",
            semconv.SHADOW_TARGET: "V2 returned",
            semconv.DECISION_MATCH: "both versions went somewhere",
            semconv.STEPS_MATCH: "both versions end in a step",
            semconv.USER_MESSAGE_HASH: "the state has a user's message",
            semconv.BLOCKED_TOOL: "a tool was blocked",
            semconv.ERROR_TYPE: _V2_FAILED,
            semconv.V2_LOCATION: _V2_FAILED,
        },
    ),
)
MARK: Final = (semconv.MODE, semconv.VERSION)
"""On every span and log record that starts inside a shadow run, whoever makes it."""

EVENTS: Final = (
    EventConvention(semconv.EVENT_V2, "Once per pair: everything that the verdict needs."),
    EventConvention(semconv.EVENT_COMPARISON, "Once per pair: the short form for people."),
    EventConvention(
        semconv.EVENT_BASELINE,
        "An execution without a shadow run; `reason` says why: `holdout`, `sampled_out`, `shed:…`, `retry`, "
        "`not_captured:…`, `resumed_inside`, `not_implemented`, `cancelled`, `cancelled:loop_ended`, `live`.",
    ),
    EventConvention(
        semconv.EVENT_HEARTBEAT,
        "Totals of a node, by which what is missing is counted: every 60 seconds in which something changed, and at "
        "the end of the process.",
    ),
)
EVENT_ATTRIBUTES: Final = (semconv.GRAPH, semconv.NODE)

_OF_A_NODE: Final = "it is of a node, not of all of them"
METRIC_CONDITIONS: Final[Mapping[tuple[str, str], str]] = {
    (semconv.COMPARISONS.name, semconv.DECISION_MATCH): "both versions went somewhere",
    (semconv.COMPARISONS.name, semconv.STEPS_MATCH): "both versions end in a step",
    **{
        (metric.name, semconv.NODE): _OF_A_NODE
        for metric in semconv.METRICS
        if metric.name.startswith(semconv.VERDICT.name)
    },
}
"""Conditions under which a metric's point has an attribute; all others are always there."""
