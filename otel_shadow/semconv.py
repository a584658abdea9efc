"""Names of all telemetry: spans, metrics, units, buckets, attributes, events, environment variables.

Code, dashboards, rules, readers and tests import them from here. The module imports nothing else of the package.
Conventions that exist already (``session.id``, ``gen_ai.*``, ``error.type``) are used as they stand in the
OpenTelemetry semantic conventions 1.37; every other name starts with ``shadow.``. Types and meanings of attributes are
in ``registry``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

SCOPE: Final = "otel_shadow"
"""Instrumentation scope of tracer, meter and logger."""
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.37.0"
"""The conventions that names of others in our scope follow. No schema of ours is served anywhere, so none is named."""

LINE_SCHEMA: Final = 2
"""Version of the log line contract (key ``schema``)."""
LINE_SCHEMAS_READ: Final = ("1", "2")
"""Versions that evidence is read of: what a line of an older one lacks is null."""

# --- environment variables ------------------------------------------------------------------------------------------
ENV_V2_SHADOW: Final = "ROUTER_V2_SHADOW"
"""One of the five flags; the names of the others are those of the fields of ``flags.FeatureFlags``."""
ENV_CONFIG: Final = "OTEL_SHADOW_CONFIG"
"""The configuration file; unset: `./shadow.toml` if there is one."""
ENV_LOG_FILE: Final = "OTEL_SHADOW_LOG_FILE"
"""Where log lines go: a path, `stdout` or `stderr`; unset: `stderr`."""
ENV_HASH_KEY: Final = "OTEL_SHADOW_HASH_KEY"
"""The secret of the keyed hashes, the same on all replicas, such as `openssl rand -hex 32` makes: under 16 bytes, or of
common words, it is guessed, and `doctor` fails. Unset: random, another in each process."""
ENV_VERIFY_KEY: Final = "OTEL_SHADOW_VERIFY_KEY"
"""The key by which `verdict`, `calibrate` and `coverage` tell lines of yours from forged ones; `otel-shadow doctor
--verify-key` prints it. Unset: it is made of `OTEL_SHADOW_HASH_KEY` where that is set."""
ENV_V2_BUILD: Final = "OTEL_SHADOW_V2_BUILD"
"""Name of this V2, where `v2_build` of `shadow.toml` gives none. Unset: `service.version` of
OpenTelemetry's resource."""
ENV_STATE_DIR: Final = "OTEL_SHADOW_STATE_DIR"
"""Folder of what outlives a restart: outcomes of trials, and pauses, by name, build and time. It is made with mode 0700
where it does not exist. Unset: `$XDG_STATE_HOME/otel-shadow`, else `~/.local/state/otel-shadow`."""
ENV_DEBUG: Final = "OTEL_SHADOW_DEBUG"
"""`true` shows exceptions with messages and tracebacks on standard error: for a developer, never for production."""
ENV_RAISE: Final = "OTEL_SHADOW_RAISE"
"""`true` makes the fault barrier raise what it would swallow: for tests, never for production."""

# --- log events -----------------------------------------------------------------------------------------------------
EVENT_V2: Final = "SHADOW_V2"
EVENT_COMPARISON: Final = "SHADOW_COMPARISON"
EVENT_BASELINE: Final = "SHADOW_BASELINE"
EVENT_HEARTBEAT: Final = "SHADOW_HEARTBEAT"
EVENT_TYPE_V2: Final = "shadow_v2_execution"
EVENT_TYPE_COMPARISON: Final = "shadow_comparison"
EVENT_TYPE_BASELINE: Final = "shadow_baseline"
EVENT_TYPE_HEARTBEAT: Final = "shadow_heartbeat"
TOTAL_UNLOGGED: Final = "unlogged"
"""Among the totals of a heartbeat: records that were to be no lines, for ``SHADOW_LOGGING`` was off."""
LINE_MAX_BYTES: Final = 4096
OTHER: Final = "_other"
"""Value that stands for a step, stage, target or category that is not declared."""
END: Final = "__end__"
"""Decision to end the graph, by LangGraph's own name."""

# --- spans ----------------------------------------------------------------------------------------------------------
SPAN_V1_NODE: Final = "v1.node"
SPAN_V2_SHADOW: Final = "v2.shadow"
SPAN_V2_NODE: Final = "v2.node"

# --- attributes of others -------------------------------------------------------------------------------------------
SESSION_ID: Final = "session.id"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
ERROR_TYPE: Final = "error.type"

# --- our attributes (spans and metrics share them, so that a trace leads to its metric and back) --------------------
GRAPH: Final = "shadow.graph.name"
NODE: Final = "shadow.node.name"
MODE: Final = "shadow.mode"
ARM: Final = "shadow.arm"
ARM_NONE: Final = "none"
"""Arm of a duration that belongs to neither: of live and sampled-out sessions, and of retries."""
VERSION: Final = "shadow.version"
V2_BUILD: Final = "shadow.v2.build"
CONFIG_DIGEST: Final = "shadow.config.digest"
PAIR_ID: Final = "shadow.pair.id"
STATUS: Final = "shadow.status"
V2_LOCATION: Final = "shadow.v2.location"
ORIGINAL_TARGET: Final = "shadow.decision.original_target"
SHADOW_TARGET: Final = "shadow.decision.shadow_target"
DECISION_MATCH: Final = "shadow.decision.match"
STEPS_MATCH: Final = "shadow.steps.match"
COMPARISON: Final = "shadow.comparison"
V1_LATENCY_MS: Final = "shadow.v1.latency_ms"
V2_LATENCY_MS: Final = "shadow.v2.latency_ms"
LATENCY_DELTA_MS: Final = "shadow.latency.delta_ms"
DIFF_FIELDS: Final = "shadow.diff.fields"
USER_MESSAGE_HASH: Final = "shadow.user_message.hash"
V1_SERVED: Final = "shadow.v1.served"
FALLBACK_REASON: Final = "shadow.fallback.reason"
REASON: Final = "shadow.reason"
OPERATION: Final = "shadow.operation"
CRITERION: Final = "shadow.criterion"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - an attribute name of the GenAI conventions, no secret
BLOCKED_TOOL: Final = "shadow.blocked.tool"

BAGGAGE_MODE: Final = MODE
"""Baggage key that tells other services that a shadow run calls them."""

VERSION_V1: Final = "v1"
VERSION_V2: Final = "v2"


@cache
def scope_version() -> str:
    """Return the release of otel-shadow, the version of its scope; empty for a source tree that is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # takes long to import, and only telemetry needs it

    try:
        return version("otel-shadow")
    except PackageNotFoundError:
        return ""


# --- metrics --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Metric:
    """Instrument: its name, kind, UCUM unit, help text and the attributes it may carry.

    A unit is a measured one or an annotation in braces, never ``1``: of it Prometheus' OTLP endpoint and the Collector
    make the suffix ``_ratio`` and OpenTelemetry's Python exporter for Prometheus none. In braces all give one name.
    The sink refuses every attribute that is not in ``attributes``, so that no session id, hash or trace id becomes a
    label.
    """

    name: str
    kind: str
    unit: str
    description: str
    attributes: tuple[str, ...]


DURATION_BUCKETS_S: Final = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75,
    1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Advisory explicit boundaries of ``shadow.node.duration`` in seconds (a library can't set Views)."""

OVERHEAD_BUCKETS_S: Final = (
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1,
)  # fmt: skip
"""Advisory explicit boundaries of ``shadow.overhead.duration`` in seconds."""

NODE_DURATION: Final = Metric(
    "shadow.node.duration", "histogram", "s",
    "Time from entry to exit of a node, by version and arm; V1's includes what shadowing added on its path.",
    (GRAPH, NODE, MODE, VERSION, ARM, STATUS),
)  # fmt: skip
ELIGIBLE: Final = Metric(
    "shadow.eligible", "counter", "{execution}", "V1 executions of a configured node that should have a shadow.",
    (GRAPH, NODE, ARM),
)  # fmt: skip
EXECUTIONS: Final = Metric(
    "shadow.executions", "counter", "{execution}",
    "Shadows by what became of them, those that never ran (shed, breaker open, over budget) included.",
    (GRAPH, NODE, STATUS),
)  # fmt: skip
COMPARISONS: Final = Metric(
    "shadow.comparisons", "counter", "{pair}", "Pairs compared, by whether decision and step agree.",
    (GRAPH, NODE, MODE, COMPARISON, DECISION_MATCH, STEPS_MATCH),
)  # fmt: skip
DECISIONS: Final = Metric(
    "shadow.decisions", "counter", "{pair}", "Where V1 went against where V2 would have gone (confusion matrix).",
    (GRAPH, NODE, ORIGINAL_TARGET, SHADOW_TARGET),
)  # fmt: skip
FALLBACKS: Final = Metric(
    "shadow.fallbacks", "counter", "{execution}", "Live executions in which V2 failed and V1 answered, by reason.",
    (GRAPH, NODE, REASON),
)  # fmt: skip
OVERHEAD: Final = Metric(
    "shadow.overhead.duration", "histogram", "s", "Time that shadowing added on V1's path, measured per execution.",
    (GRAPH, NODE),
)  # fmt: skip
QUEUE_DEPTH: Final = Metric("shadow.queue.depth", "gauge", "{pair}", "Pairs that wait for their shadow to start.", ())
INFLIGHT: Final = Metric("shadow.inflight", "gauge", "{pair}", "Shadows that run now.", ())
TOKENS: Final = Metric(
    "shadow.tokens", "counter", "{token}", "Tokens spent by V2's models in shadow, from their usage metadata.",
    (GRAPH, NODE, TOKEN_TYPE),
)  # fmt: skip
SLA_OBJECTIVE: Final = Metric(
    "shadow.sla.objective", "gauge", "{ratio}", "The bound of each SLA criterion; dashboards and rules draw this.",
    (CRITERION,),
)  # fmt: skip
LIMITER_STATE: Final = Metric(
    "shadow.limiter.state", "gauge", "{state}", "1 while a node's shadow is paused for this reason, else 0.",
    (GRAPH, NODE, REASON),
)  # fmt: skip
SWALLOWED: Final = Metric(
    "shadow.swallowed", "counter", "{error}",
    "Errors of otel-shadow that its fault barrier caught before they could reach V1.",
    (OPERATION,),
)  # fmt: skip
VERDICT: Final = Metric(
    "shadow.verdict", "gauge", "{state}", "-1 NO-GO, 0 WAIT, 1 GO, per criterion (exported by verdict --watch).",
    (GRAPH, NODE, CRITERION),
)  # fmt: skip
VERDICT_ESTIMATE: Final = Metric(
    "shadow.verdict.estimate", "gauge", "{ratio}", "Estimate of the criterion's quantity.", (GRAPH, NODE, CRITERION)
)
VERDICT_PROVEN: Final = Metric(
    "shadow.verdict.proven", "gauge", "{ratio}",
    "What whole cycles prove: the quantity is at least (or at most) this. Changes when a cycle ends.",
    (GRAPH, NODE, CRITERION),
)  # fmt: skip
VERDICT_LOWER: Final = Metric(
    "shadow.verdict.lower", "gauge", "{ratio}", "Lower end of the always-valid band.", (GRAPH, NODE, CRITERION)
)
VERDICT_UPPER: Final = Metric(
    "shadow.verdict.upper", "gauge", "{ratio}", "Upper end of the always-valid band.", (GRAPH, NODE, CRITERION)
)

METRICS: Final = (
    NODE_DURATION, ELIGIBLE, EXECUTIONS, COMPARISONS, DECISIONS, FALLBACKS, OVERHEAD, QUEUE_DEPTH, INFLIGHT, TOKENS,
    SLA_OBJECTIVE, LIMITER_STATE, SWALLOWED, VERDICT, VERDICT_ESTIMATE, VERDICT_PROVEN,
    VERDICT_LOWER, VERDICT_UPPER,
)  # fmt: skip

# --- values of attributes that code, rules and dashboards share -----------------------------------------------------
CRITERION_PARITY: Final = "parity"
CRITERION_HANDOFF: Final = "handoff"
CRITERION_LATENCY_NOW: Final = "latency_now"
CRITERION_LATENCY_AFTER: Final = "latency_after"
CRITERION_V1_SERVED: Final = "v1_served"
CRITERION_COVERAGE: Final = "coverage"
CRITERION_OVERALL: Final = "overall"
CRITERIA: Final = (
    CRITERION_PARITY, CRITERION_HANDOFF, CRITERION_LATENCY_NOW, CRITERION_LATENCY_AFTER, CRITERION_V1_SERVED,
    CRITERION_COVERAGE,
)  # fmt: skip

UNVERSIONED: Final = "unversioned"
"""The build of a V2 that nobody has named (yet)."""
CUT_OFF: Final = "cancelled:loop_ended"
"""The reason of an execution whose event loop ended while V2 was in flight."""
LIMITER_REASONS: Final = (
    "queue", "breaker", "budget", "abandoned", "rate", "memory", "overhead", "blocks_loop", "trial", "untried",
    "no_loop", "rate_limited",
)  # fmt: skip
OPERATIONS: Final = (
    "enter", "capture", "span", "commit", "close", "dispatch", "workers", "compare", "record", "sink", "flush",
    "emit_dropped", "dropped_spans", "dropped_metrics", "dropped_log_events", "dropped_log_file", "dropped_other",
)  # fmt: skip
"""Operations behind the fault barrier, in the order of an execution; ``emit_dropped`` counts records that a full
record queue refused, ``dropped_*`` what one sink had no time for, by its name."""
TOKEN_TYPES: Final = ("input", "output")
SERVER_WORDS: Final = {
    part: f"langgraph_sdk.{part}" for part in ("assistants", "threads", "runs", "crons", "store", "http")
}
"""Words for requests to LangGraph servers, in ``[tools]`` and as blocked tools, by the part of the client that makes
them; ``http`` is any other."""
FALLBACK_REASONS: Final = ("error", "timeout", "unusable_output", "not_implemented")
