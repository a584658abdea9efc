"""The spans of a pair: ``v1.node`` around V1, ``v2.shadow`` beside it and linked to it."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token
from functools import lru_cache
from time import time_ns
from typing import Any

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import Link, Span, StatusCode, TracerProvider

from otel_shadow import semconv
from otel_shadow._runtime.sinks import ExecutionLabels, Identified, SpanIdentity, V1Span
from otel_shadow._telemetry.before_flush import flush_provider
from otel_shadow._telemetry.outgoing_mark import OutgoingMark
from otel_shadow._telemetry.shadow_mark import NODE, TRUSTING, NodeSpan, mark_providers, of_shadow, parent_of
from otel_shadow._telemetry.silence import silence_instrumentations
from otel_shadow._telemetry.start_readers import reads_at_start
from otel_shadow._telemetry.worker_context import WorkerContext
from otel_shadow.config import PrivacyTable
from otel_shadow.record import Observation, ShadowRecord, Status

_PRIVACY = PrivacyTable()


class OtelV1Span:
    """``v1.node`` (or ``v2.node`` when V2 serves), current while the node runs.

    On V1's path it is started, with its identity where anybody reads that then, and left; its attributes and its end
    follow off the path, which halves what it costs there, and keeps a span processor that blocks from V1.
    """

    __slots__ = ("_ended_ns", "_fallback_reason", "_node", "_opener", "_token", "_version", "outer", "parent", "span")

    def __init__(
        self,
        span: Span,
        parent: Context,
        outer: NodeSpan | None,
        version: str,
        fallback_reason: str | None,
        opener: OtelSpans,
    ) -> None:
        self._opener = opener
        self._version = version
        self._fallback_reason = fallback_reason
        self._ended_ns: int | None = None
        self.parent = parent
        self.outer = outer
        self.span = span
        self._token: object = context.attach(trace.set_span_in_context(span, parent))
        self._node = NODE.set(self)

    @property
    def trace_id(self) -> str | None:
        own = self.span.get_span_context()
        return trace.format_trace_id(own.trace_id) if own.is_valid else None

    @property
    def span_id(self) -> str | None:
        own = self.span.get_span_context()
        return trace.format_span_id(own.span_id) if own.is_valid else None

    @property
    def sampled(self) -> bool:
        return self.span.get_span_context().trace_flags.sampled

    @property
    def caused_by_shadow(self) -> bool:
        return of_shadow(self.parent)

    def leave(self) -> None:
        """Make the parent current again and take the time."""
        token = self._token
        try:
            if isinstance(token, Token):
                token.var.reset(token)
            else:  # the application has brought a context of its own kind
                context.detach(token)  # type: ignore[arg-type]
            NODE.reset(self._node)
        except (ValueError, RuntimeError):  # a task that is destroyed with its loop ends in no context of its own
            pass  # the API's detach would log that, here and now, with a traceback and the message of what V1 raised
        self._ended_ns = time_ns()

    def close(self, observation: Observation, labels: ExecutionLabels) -> None:
        """End the span as of :meth:`leave`. No message, no stack trace: the error's type only."""
        self._opener.look()
        if not self.span.is_recording():
            return
        try:
            self.span.set_attributes(_facts(labels))
            if self._fallback_reason:
                self.span.set_attribute(semconv.FALLBACK_REASON, self._fallback_reason)
            _conclude(self.span, observation)
            self.span.set_attributes(_identity(labels, self._version))
        finally:
            self.span.end(self._ended_ns)  # V1's own spans hang on it


class OtelV2Span:
    """``v2.shadow``."""

    __slots__ = ("_labels", "_mark", "_silent", "_started_ns", "outer", "parent", "span", "span_id")

    def __init__(
        self,
        span: Span,
        parent: Context | None,
        labels: ExecutionLabels,
        started_ns: int,
        *,
        mark: OutgoingMark,
        silent: bool,
    ) -> None:
        self._labels = labels
        own = span.get_span_context()
        self.span_id = trace.format_span_id(own.span_id) if own.is_valid else None
        self.span = span
        self.parent = parent or Context()
        self.outer: NodeSpan | None = None
        self._started_ns = started_ns
        self._mark = mark
        self._silent = silent

    def carrier(self) -> WorkerContext:
        """Return what of V1's context, and of the mark, is for :func:`enter_in_worker`."""
        return WorkerContext.of(trace.set_span_in_context(self.span, self.parent), self._mark, silent=self._silent)

    def enter(self) -> None:
        """Make it current in the calling context, which is a copy of V1's, and mark that as the shadow's."""
        self._started_ns = time_ns()  # V2's latency counts from here: the end is V2's own end, not earlier
        inside = self._mark.put_into(context.get_current())
        context.attach(trace.set_span_in_context(self.span, _silent(inside) if self._silent else inside))
        self.outer = NODE.get()
        NODE.set(self)

    def close(self, record: ShadowRecord) -> None:
        """End it at V2's own end, with what is known of the pair."""
        if record.v2 is None:
            return
        if not self.span.is_recording():
            return
        try:
            self.span.set_attributes({**_facts(self._labels), **_pair_attributes(record, record.v2)})
            _conclude(self.span, record.v2)
            self.span.set_attributes(_identity(self._labels, semconv.VERSION_V2))
            self.span.set_attributes(_outcome(record, record.v2))
        finally:
            self.span.end(self._started_ns + round((record.v2.latency_s or 0.0) * 1e9))


class OtelSpans:
    """Opener of the spans of executions and shadow runs.

    Arguments:
        provider: default: the global tracer provider, also one that is set later.
        privacy: whether instrumentations stay silent inside the shadow, where the mark goes, and whose is believed.
    """

    def __init__(self, provider: TracerProvider | None = None, privacy: PrivacyTable = _PRIVACY) -> None:
        self._silent = privacy.suppress_instrumentation
        self._mark = OutgoingMark(privacy.propagate, privacy.internal_hosts)
        self._provider = provider
        self._is_read = True
        self._tracer = trace.get_tracer(semconv.SCOPE, semconv.scope_version(), provider, semconv.SCHEMA_URL)
        if privacy.trust_incoming_mark:
            TRUSTING.add(self)
        mark_providers()
        if self._silent:
            silence_instrumentations()

    def v1(self, execution: Identified, fallback_reason: str | None) -> OtelV1Span:
        return self._open(semconv.SPAN_V1_NODE, execution, semconv.VERSION_V1, fallback_reason)

    def live(self, execution: Identified) -> OtelV1Span:
        return self._open(semconv.SPAN_V2_NODE, execution, semconv.VERSION_V2, None)

    def v2(self, labels: ExecutionLabels, beside: V1Span) -> OtelV2Span:
        """Open ``v2.shadow``: a sibling of the span ``beside`` (its child where that is the root), linked to it."""
        links: list[Link] = []
        parent: Context | None = None
        if isinstance(beside, OtelV1Span):
            links.append(Link(beside.span.get_span_context()))
            has_parent = trace.get_current_span(beside.parent).get_span_context().is_valid
            parent = beside.parent if has_parent else trace.set_span_in_context(beside.span, beside.parent)
        started_ns = time_ns()
        span = self._tracer.start_span(
            semconv.SPAN_V2_SHADOW,
            context=parent,
            attributes=_at_start(SpanIdentity(labels.graph, labels.node, labels.mode, labels.arm), semconv.VERSION_V2),
            links=links,
            start_time=started_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
        return OtelV2Span(span, parent, labels, started_ns, mark=self._mark, silent=self._silent)

    def close(self) -> None:
        """Have the mark that other processes send ignored, unless another opener of spans believes it."""
        TRUSTING.discard(self)

    def look(self) -> None:
        """Look whether anybody reads attributes when a span starts: processors may come. Not on V1's path."""
        self._is_read = reads_at_start(self._provider or trace.get_tracer_provider())

    def _open(self, name: str, execution: Identified, version: str, fallback_reason: str | None) -> OtelV1Span:
        parent, outer = context.get_current(), NODE.get()
        attributes = _at_start(execution.span_identity, version) if self._is_read else None
        span = self._tracer.start_span(
            name, parent, attributes=attributes, record_exception=False, set_status_on_exception=False
        )
        if outer is not None:
            parent = parent_of(span, parent)
        return OtelV1Span(span, parent, outer, version, fallback_reason, self)


def enter_in_worker(carrier: WorkerContext) -> None:
    """Continue in a worker process what :meth:`OtelV2Span.carrier` describes; spans started from now on are marked."""
    inside = carrier.unpacked()
    if carrier.silent:
        silence_instrumentations()
        inside = _silent(inside)
    context.attach(inside)
    mark_providers()


def _silent(inside: Context) -> Context:
    """Return ``inside`` with the keys by which instrumentations are told to record nothing."""
    token = context.attach(context.set_value("suppress_language_model_instrumentation", True, inside))  # OpenLLMetry's
    try:
        with suppress_instrumentation():  # OpenTelemetry's own key has a new name in each process
            return context.get_current()
    finally:
        context.detach(token)


def flush_in_worker(seconds: float) -> None:
    """Export the spans that a worker process has ended, within ``seconds``."""
    flush_provider(trace.get_tracer_provider(), seconds)


@lru_cache(maxsize=4096)
def _at_start(identity: SpanIdentity, version: str) -> Mapping[str, str]:
    """Return what both spans of a pair show a sampler."""
    return {
        semconv.GRAPH: identity.graph,
        semconv.NODE: identity.node,
        semconv.MODE: str(identity.mode),
        semconv.ARM: str(identity.arm),
        semconv.VERSION: version,
    }


# Where a span may have no more attributes, the SDK drops those that were set first. What identifies a pair is therefore
# set anew at the end, and its outcome last.


def _facts(labels: ExecutionLabels) -> dict[str, str]:
    attributes = {
        semconv.GEN_AI_AGENT_NAME: labels.graph,
        semconv.V2_BUILD: labels.v2_build,
        semconv.SESSION_ID: labels.session_id,
    }
    if labels.thread_id is not None:
        attributes[semconv.GEN_AI_CONVERSATION_ID] = labels.thread_id
    return attributes


def _identity(labels: ExecutionLabels, version: str) -> dict[str, str]:
    identity = SpanIdentity(labels.graph, labels.node, labels.mode, labels.arm)
    return {**_at_start(identity, version), semconv.PAIR_ID: labels.pair_id}


def _outcome(record: ShadowRecord, v2: Observation) -> dict[str, str]:
    return {semconv.STATUS: str(v2.status), semconv.COMPARISON: str(record.comparison.outcome)}


def _pair_attributes(record: ShadowRecord, v2: Observation) -> dict[str, Any]:
    comparison = record.comparison
    v1_ms = (record.v1.latency_s or 0.0) * 1000.0
    v2_ms = (v2.latency_s or 0.0) * 1000.0
    attributes = {
        semconv.CONFIG_DIGEST: record.config_digest,
        semconv.USER_MESSAGE_HASH: record.user_message_hash,
        semconv.V1_SERVED: record.v1_served,
        semconv.LATENCY_DELTA_MS: v2_ms - v1_ms,
        semconv.V1_LATENCY_MS: v1_ms,
        semconv.V2_LATENCY_MS: v2_ms,
        semconv.BLOCKED_TOOL: record.blocked_tools or None,
        semconv.STEPS_MATCH: comparison.steps_match,
        semconv.DIFF_FIELDS: comparison.diff_fields,
        semconv.ORIGINAL_TARGET: record.v1.target,
        semconv.SHADOW_TARGET: v2.target,
        semconv.DECISION_MATCH: comparison.decisions_match,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _conclude(span: Span, observation: Observation) -> None:
    if observation.error_type is not None:
        span.set_attribute(semconv.ERROR_TYPE, observation.error_type)
    if observation.location is not None:
        span.set_attribute(semconv.V2_LOCATION, observation.location)
    if observation.status is Status.TIMEOUT:
        span.set_attribute(semconv.ERROR_TYPE, "timeout")
    if observation.status in (Status.ERROR, Status.TIMEOUT, Status.NOT_IMPLEMENTED):
        span.set_status(StatusCode.ERROR)
