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

from opentelemetry import baggage, context, trace
from opentelemetry._logs import Logger
from opentelemetry.context import Context
from opentelemetry.trace import Span, Tracer

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
    def start_span(self: Any, *args: Any, **kwargs: Any) -> Span:
        inside = args[1] if len(args) > 1 else kwargs.get("context")
        inside = context.get_current() if inside is None else inside
        node, marked = NODE.get(), SHADOW.get() is not None or of_shadow(inside)
        if node is None and not marked:
            return original(self, *args, **kwargs)
        with suppress(Exception):  # whatever an application gives to a tracer of its own
            args, kwargs = _placed(node, marked, inside, args, kwargs)
        span = original(self, *args, **kwargs)
        if marked:
            with suppress(Exception):
                _follow(span, args, kwargs)
        return span

    return start_span


def _placed(
    node: NodeSpan | None, marked: bool, inside: Context, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a ``start_span`` with the mark, and below the node's span, where that is due."""
    name = args[0] if args else kwargs.get("name")
    if node is not None and name != semconv.SPAN_V2_SHADOW and _is_around(node, inside):  # that one is beside the node
        args, kwargs = _given(args, kwargs, 1, "context", trace.set_span_in_context(node.span, inside))
    if marked and name not in _OURS:
        attributes = {**(_argument(args, kwargs, 3, "attributes") or {}), **_MARKS}
        args, kwargs = _given(args, kwargs, 3, "attributes", attributes)
    return args, kwargs


def _argument(args: tuple[Any, ...], kwargs: Mapping[str, Any], place: int, name: str) -> Any:
    return args[place] if len(args) > place else kwargs.get(name)


def _given(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, name: str, value: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if len(args) > place:
        return (*args[:place], value, *args[place + 1 :]), kwargs
    return args, {**kwargs, name: value}


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


def _follow(span: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Note where a client's span leads, and mark a span again at its end: past a limit the oldest attributes go."""
    note_hosts(span, _argument(args, kwargs, 2, "kind"), _argument(args, kwargs, 3, "attributes"))
    name = args[0] if args else kwargs.get("name")
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
        if SHADOW.get() is not None or of_shadow(context.get_current() if inside is None else inside):
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
