"""Marks of a shadow on spans and log records, whoever makes them, and the place of spans below the span of their node.

Instrumentations of LangChain start spans below, and make current, the span of the *run*, whatever is current when a
node is called: what V1 starts would be found beside ``v1.node``. Whatever starts inside a node directly below a span
that is around the node's is therefore put below the node's.

Both happen where a span is started and a record is emitted: in every class that implements the API's ``Tracer`` or
``Logger``, the SDK's and those that vendors have in its place, before any sampler or processor is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from typing import Any, Protocol
from weakref import WeakSet

from opentelemetry import baggage, trace
from opentelemetry._logs import Logger
from opentelemetry.context import Context, get_current
from opentelemetry.trace import Span, SpanKind, Tracer

from otel_shadow import semconv
from otel_shadow._runtime.shadow_context import SHADOW
from otel_shadow._telemetry.outgoing_mark import MARK, note_hosts, watch_injections
from otel_shadow.record import Mode

_BAGGAGE = next(iter(baggage.set_baggage("key", "value", Context())))
"""The key under which the API keeps baggage in a context: every span of the process asks, and most have none."""
_MARKS = {semconv.MODE: str(Mode.V2_SHADOW), semconv.VERSION: semconv.VERSION_V2}
_OURS = frozenset({semconv.SPAN_V1_NODE, semconv.SPAN_V2_NODE, semconv.SPAN_V2_SHADOW})
"""Spans that say by themselves what they are."""


class NodeSpan(Protocol):
    """The span of a node, for as long as the node runs."""

    span: Span
    parent: Context
    outer: NodeSpan | None
    """The span of the node inside which this one runs."""


NODE: ContextVar[NodeSpan | None] = ContextVar("otel_shadow_node_span", default=None)
TRUSTING: WeakSet[Any] = WeakSet()
"""Openers of spans that are in use and believe the mark that a caller sends: while there is none, it is ignored."""


@cache
def mark_providers() -> None:
    """Have every tracer and logger of the process, there already or made later, mark what starts inside a shadow."""
    wrap_in_subclasses(Tracer, "start_span", _marking_spans)
    wrap_in_subclasses(Logger, "emit", _marking_records)
    watch_injections()


def of_shadow(inside: Context) -> bool:
    """Return whether ``inside`` belongs to a shadow run of this process, or to that of a caller who is believed."""
    if MARK in inside:
        return True
    if _BAGGAGE not in inside or not TRUSTING:
        return False
    return bool(baggage.get_baggage(semconv.BAGGAGE_MODE, inside) == Mode.V2_SHADOW)


def parent_of(span: Any, expected: Context) -> Context:
    """Return ``expected``, in which ``span`` was started, with the parent that it has been given in its place."""
    given = getattr(span, "parent", None)
    if given is None or given.span_id == trace.get_current_span(expected).get_span_context().span_id:
        return expected
    return trace.set_span_in_context(trace.NonRecordingSpan(given), expected)


# --- every class of the API's ----------------------------------------------------------------------------------------


def wrap_in_subclasses(base: Any, method: str, wrap: Callable[[Any], Any]) -> None:
    """Wrap ``method`` in every class below ``base``, there already or made later, apart from the API's own stand-ins.

    A method that calls the one of its base class is wrapped twice: wrappers must do no harm then.
    """
    before: Any = vars(base).get("__init_subclass__")

    def __init_subclass__(cls: Any, /, **kwargs: Any) -> None:
        if before is not None:
            before.__get__(None, cls)(**kwargs)
        else:
            super(base, cls).__init_subclass__(**kwargs)
        _wrap_own(cls, method, wrap)

    base.__init_subclass__ = classmethod(__init_subclass__)
    classes: list[Any] = base.__subclasses__()
    while classes:
        found = classes.pop()
        classes += found.__subclasses__()
        _wrap_own(found, method, wrap)


def _wrap_own(kind: Any, method: str, wrap: Callable[[Any], Any]) -> None:
    own = vars(kind).get(method)
    if own is not None and kind.__module__ not in ("opentelemetry.trace", "opentelemetry._logs._internal"):
        setattr(kind, method, wrap(own))


# --- spans -----------------------------------------------------------------------------------------------------------


def _marking_spans(original: Callable[..., Span]) -> Callable[..., Span]:
    @functools.wraps(original)
    def start_span(self: Any, name: str, context: Context | None = None, *args: Any, **kwargs: Any) -> Span:
        inside = get_current() if context is None else context
        node, marked = (
            NODE.get(),
            SHADOW.get() is not None or MARK in inside or (_BAGGAGE in inside and of_shadow(inside)),
        )
        if node is None and not marked:
            return original(self, name, context, *args, **kwargs)
        return _placed(functools.partial(original, self, name), node, marked, name, inside, args, kwargs)

    @functools.wraps(original)
    def start_span_of_sdk(
        self: Any,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Any = None,
        links: Any = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        inside = get_current() if context is None else context
        node, marked = (
            NODE.get(),
            SHADOW.get() is not None or MARK in inside or (_BAGGAGE in inside and of_shadow(inside)),
        )
        more = kind, attributes, links, start_time, record_exception, set_status_on_exception
        if node is None and not marked:
            return original(self, name, inside, *more)
        return _placed(functools.partial(original, self, name), node, marked, name, inside, more, {})

    # Every span of production's passes here, and to hand arguments on that are not known costs as much as all the rest.
    return start_span_of_sdk if original.__module__ == "opentelemetry.sdk.trace" else start_span


def _placed(
    start: Callable[..., Span],
    node: NodeSpan | None,
    marked: bool,
    name: str,
    inside: Context,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Span:
    """Start a span below the node's, and with the marks, where that is due."""
    try:
        if node is not None and name != semconv.SPAN_V2_SHADOW and _is_around(node, inside):  # that one is beside it
            inside = trace.set_span_in_context(node.span, inside)
        if marked:
            args, kwargs = _with_marks(name, args, kwargs)
    except Exception:  # noqa: BLE001 - whatever an application gives to a tracer of its own
        return start(inside, *args, **kwargs)
    span = start(inside, *args, **kwargs)
    if marked:
        with suppress(Exception):
            _follow(span, name, args, kwargs)
    return span


def _with_marks(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what follows name and context in a call of ``start_span`` (kind, attributes, …), with the marks."""
    if name in _OURS:
        return args, kwargs
    if len(args) > 1:
        return (args[0], {**(args[1] or {}), **_MARKS}, *args[2:]), kwargs
    return args, {**kwargs, "attributes": {**(kwargs.get("attributes") or {}), **_MARKS}}


def _is_around(node: NodeSpan, inside: Context) -> bool:
    """Return whether the current span of ``inside`` is one that is around the node's."""
    given, own = trace.get_current_span(inside).get_span_context(), node.span.get_span_context()
    if given.span_id == own.span_id or given.trace_id != own.trace_id or not own.trace_flags.sampled:
        return False
    inner: NodeSpan | None = node
    while inner is not None:
        if inner is not node and given.span_id == inner.span.get_span_context().span_id:
            return True
        if given.span_id == trace.get_current_span(inner.parent).get_span_context().span_id:
            return True
        inner = inner.outer
    return False


def _follow(span: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Note where a client's span leads, and mark a span again at its end: past a limit the oldest attributes go."""
    kind = args[0] if args else kwargs.get("kind")
    note_hosts(span, kind, args[1] if len(args) > 1 else kwargs.get("attributes"))
    if name in _OURS or not span.is_recording():
        return
    end = span.end

    def end_marked(*args: Any, **kwargs: Any) -> None:
        vars(span).pop("end", None)
        with suppress(Exception):
            span.set_attributes(_MARKS)
        end(*args, **kwargs)

    span.end = end_marked


# --- log records -----------------------------------------------------------------------------------------------------


def _marking_records(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def emit(self: Any, *args: Any, **kwargs: Any) -> None:
        inside = kwargs.get("context")
        if SHADOW.get() is not None or of_shadow(get_current() if inside is None else inside):
            with suppress(Exception):  # as above
                record = args[0] if args else kwargs.get("record")
                if record is None:
                    kwargs = {**kwargs, "attributes": {**(kwargs.get("attributes") or {}), **_MARKS}}
                else:
                    _mark_record(getattr(record, "log_record", record))
        original(self, *args, **kwargs)

    return emit


def _mark_record(record: Any) -> None:
    attributes = record.attributes
    if isinstance(attributes, MutableMapping) and type(attributes) is not dict:  # the SDK's own, which is bounded
        attributes.update(_MARKS)
    else:
        record.attributes = {**(attributes or {}), **_MARKS}
