"""Marks of a shadow on spans and log records, whoever makes them, and the place of spans below the span of their node.

Instrumentations of LangChain start spans below, and make current, the span of the *run*, whatever is current when a
node is called: what V1 starts would be found beside ``v1.node``. Whatever starts inside a node directly below a span
that is around the node's is therefore put below the node's.

This happens where the SDK's providers call their processors: each provider of the process does, also one that only an
instrumentation has, and there the caller's context is at hand.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, Protocol
from weakref import WeakSet

import wrapt
from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from otel_shadow import semconv
from otel_shadow._runtime.shadow_context import SHADOW
from otel_shadow.record import Mode

_BAGGAGE = next(iter(baggage.set_baggage("key", "value", Context())))
"""The key under which the API keeps baggage in a context: every span of the process asks, and most have none."""
_MARKS = {semconv.MODE: str(Mode.V2_SHADOW), semconv.VERSION: semconv.VERSION_V2}


class NodeSpan(Protocol):
    """The span of a node, for as long as the node runs."""

    span: Span
    parent: Context
    outer: NodeSpan | None
    """The span of the node inside which this one runs."""


NODE: ContextVar[NodeSpan | None] = ContextVar("otel_shadow_node_span", default=None)
FOLLOWED: WeakSet[Any] = WeakSet()
"""Openers of spans that are in use: while there is none, the mark that another process sends as baggage is ignored."""


@cache
def mark_providers() -> None:
    """Have every provider of the SDK, there already or made later, mark what starts inside a shadow."""
    for module, kind, method, wrap in (
        ("opentelemetry.sdk.trace", "SpanProcessor", "on_start", _marking_spans),
        ("opentelemetry.sdk._logs._internal", "LogRecordProcessor", "on_emit", _marking_records),
    ):
        wrapt.register_post_import_hook(partial(_replace, kind, method, wrap), module)


def parent_of(span: Any, expected: Context) -> Context:
    """Return ``expected``, in which ``span`` was started, with the parent that it has been given in its place."""
    given = getattr(span, "parent", None)
    if given is None or given.span_id == trace.get_current_span(expected).get_span_context().span_id:
        return expected
    return trace.set_span_in_context(trace.NonRecordingSpan(given), expected)


def _carried(parent_context: Context | None) -> bool:
    inside = context.get_current() if parent_context is None else parent_context
    if _BAGGAGE not in inside or not FOLLOWED:
        return False
    return bool(baggage.get_baggage(semconv.BAGGAGE_MODE, inside) == Mode.V2_SHADOW)


def _adopt(node: NodeSpan, span: Any) -> None:
    """Make the node's span the parent of ``span``, if its parent is around the node."""
    given, own = span.parent, node.span.get_span_context()
    if given is None or given.span_id == own.span_id or given.trace_id != own.trace_id or not own.trace_flags.sampled:
        return
    inner: NodeSpan | None = node
    while inner is not None:
        if inner is not node and given.span_id == inner.span.get_span_context().span_id:
            break
        if given.span_id == trace.get_current_span(inner.parent).get_span_context().span_id:
            break
        inner = inner.outer
    else:
        return
    if span.name == semconv.SPAN_V2_SHADOW:  # beside the node's span, wherever it is started
        return
    span._parent = own  # the SDK asks the sampler first: a span that is there was let in below its old parent


def _marking_spans(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def on_start(self: Any, span: Any, parent_context: Context | None = None) -> None:
        node = NODE.get()
        if node is not None or SHADOW.get() is not None or _carried(parent_context):
            with suppress(Exception):  # a span of another kind, at the application's own call
                if SHADOW.get() is not None or _carried(parent_context):
                    span.set_attributes(_MARKS)
                if node is not None:
                    _adopt(node, span)
        original(self, span, parent_context)

    return on_start


def _marking_records(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def on_emit(self: Any, record: Any) -> None:
        if SHADOW.get() is not None or _carried(None):
            with suppress(Exception):  # as above
                record.log_record.attributes.update(_MARKS)
        original(self, record)

    return on_emit


def _replace(kind: str, method: str, wrap: Callable[[Any], Any], module: Any) -> None:
    """Replace ``method`` of the two classes that call the processors of a provider."""
    for how in ("Synchronous", "Concurrent"):
        owner = getattr(module, f"{how}Multi{kind}", None)
        if hasattr(owner, method):
            setattr(owner, method, wrap(getattr(owner, method)))
