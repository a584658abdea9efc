"""Every attribute: its type, what it says, and examples; of an enumeration, every value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from otel_shadow import semconv
from otel_shadow.record import Arm, Mode, Outcome, Status


@dataclass(frozen=True, slots=True)
class Attribute:
    """Attribute of spans, metrics or events.

    Arguments:
        name: as ``semconv`` has it.
        brief: what it says, in a sentence without a full stop.
        type: OpenTelemetry's word for it: ``string``, ``boolean``, ``double``, ``string[]``.
        members: of an enumeration, every value that is emitted, each with what it means (or nothing).
        examples: values such as it has.
        upstream: whether OpenTelemetry's own conventions define it; here it is only referred to.
    """

    name: str
    brief: str
    type: str = "string"
    members: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[str | float | tuple[str, ...], ...] = ()
    upstream: bool = False


def _named(values: tuple[str, ...]) -> dict[str, str]:
    return dict.fromkeys(values, "")


_STATUSES: Final[Mapping[str, str]] = {
    Status.SUCCESS: "it returned",
    Status.ERROR: "it raised",
    Status.TIMEOUT: "its time was up",
    Status.INTERRUPT: "it asks a human",
    Status.CANCELLED: "it was given up before its end",
    Status.NOT_IMPLEMENTED: "V2 raised `NotImplementedError`: there is none yet",
    Status.SHED: "it never ran: too much to do",
    Status.BREAKER_OPEN: "it never ran: V2 failed too often before",
    Status.OVER_BUDGET: "it never ran: its tokens are spent",
}
"""``not_run`` is of log lines alone: a V1 that did not run has neither a span nor a duration."""

ATTRIBUTES: Final = (
    Attribute(semconv.GRAPH, "the graph's name", examples=("enrolment", "LangGraph")),
    Attribute(semconv.NODE, "the node's name", examples=("greeting",)),
    Attribute(semconv.GEN_AI_AGENT_NAME, "the graph's name again", examples=("enrolment",), upstream=True),
    Attribute(
        semconv.SESSION_ID, "the session; hashed unless it matches `[privacy] safe_session_id`",
        examples=("demo_001", "4b0d064d283b"), upstream=True,
    ),
    Attribute(
        semconv.GEN_AI_CONVERSATION_ID, "the run's thread; hashed unless it matches `[privacy] safe_session_id`",
        examples=("demo_001", "4b0d064d283b"), upstream=True,
    ),
    Attribute(
        semconv.MODE,
        "which version answers in this session; also the key of the baggage by which other services are told that a "
        "shadow run calls them",
        members={Mode.V2_SHADOW: "V1 answers, V2 runs beside it", Mode.V2_LIVE: "V2 answers, V1 if V2 can't"},
    ),
    Attribute(
        semconv.ARM, "whether shadows start in the slot of time in which the execution began",
        members={
            Arm.SHADOWED: "they do", Arm.HOLDOUT: "none does: the baseline of V1's latency",
            semconv.ARM_NONE: "of a duration that belongs to neither: live, sampled out or a retry; the verdict's "
            "latency leaves it out",
        },
    ),
    Attribute(
        semconv.VERSION, "which version it is of",
        members={semconv.VERSION_V1: "the version that serves users", semconv.VERSION_V2: "the rewrite"},
    ),
    Attribute(semconv.V2_BUILD, "name of this V2", examples=("1.4.0",)),
    Attribute(
        semconv.PAIR_ID, "the same on both spans and all lines of a pair", examples=("5f0c6b2f9a1d4e37",)
    ),
    Attribute(semconv.STATUS, "what became of the run; a span's is one of the first five", members=_STATUSES),
    Attribute(
        semconv.COMPARISON, "how the pair compares",
        members={
            Outcome.MATCH: "", Outcome.MISMATCH: "", Outcome.ERROR: "the comparator raised",
            Outcome.NONE: "nothing to compare: V1 raised, or V2 failed, timed out or was cancelled",
        },
    ),
    Attribute(
        semconv.ORIGINAL_TARGET,
        "where V1 went; `parent:` marks a node of the parent graph, `deferred:` one that waits for all others, `+` "
        "joins several; what is no node and not declared is `_other`",
        examples=("qualification", "parent:handoff", "__end__"),
    ),
    Attribute(
        semconv.SHADOW_TARGET, "where V2 would have gone, written likewise",
        examples=("qualification", "_other", "error:KeyError"),
    ),
    Attribute(semconv.DECISION_MATCH, "whether both versions go to the same target", "boolean"),
    Attribute(semconv.STEPS_MATCH, "whether both versions end in the same step", "boolean"),
    Attribute(
        semconv.DIFF_FIELDS, "names of the top-level fields that differ; never values", "string[]",
        examples=(("messages", "step"),),
    ),
    Attribute(semconv.V1_LATENCY_MS, "V1 from entry to exit in milliseconds", "double", examples=(182.4,)),
    Attribute(semconv.V2_LATENCY_MS, "V2 from entry to exit in milliseconds", "double", examples=(164.9,)),
    Attribute(
        semconv.LATENCY_DELTA_MS, "milliseconds by which V2 took longer", "double", examples=(-17.5,)
    ),
    Attribute(
        semconv.V1_SERVED, "whether the caller got the same object (or exception) that V1 produced", "boolean"
    ),
    Attribute(semconv.USER_MESSAGE_HASH, "keyed hash of the user's message", examples=("2050e6f90ed8",)),
    Attribute(
        semconv.CONFIG_DIGEST, "changes with each part of the configuration that changes pairs",
        examples=("8bf14108be17",),
    ),
    Attribute(
        semconv.BLOCKED_TOOL, "names of tools that V2 called and that were blocked; `_other` if not declared",
        "string[]", examples=(("book_visit",),),
    ),
    Attribute(
        semconv.V2_LOCATION, "where in the code V2 failed, as `module:line`: the deepest frame in your own code",
        examples=("myapp.v2:42",),
    ),
    Attribute(
        semconv.FALLBACK_REASON, "why V1 answered in place of V2", members=_named(semconv.FALLBACK_REASONS)
    ),
    Attribute(
        semconv.REASON, "why V1 answered in place of V2, or why a node's shadow is paused",
        members=_named((*semconv.FALLBACK_REASONS, *semconv.LIMITER_REASONS)),
    ),
    Attribute(
        semconv.OPERATION, "the operation of otel-shadow that failed", members=_named(semconv.OPERATIONS)
    ),
    Attribute(
        semconv.CRITERION, "the criterion; `overall` is the decision on all of them",
        members=_named((*semconv.CRITERIA, semconv.CRITERION_OVERALL)),
    ),
    Attribute(
        semconv.ERROR_TYPE, "the exception's class, or `timeout`; neither its message nor a stack trace",
        examples=("ValueError", "timeout"), upstream=True,
    ),
    Attribute(
        semconv.TOKEN_TYPE, "which tokens are counted", members=_named(semconv.TOKEN_TYPES), upstream=True,
    ),
)  # fmt: skip
"""Every attribute, each once."""
