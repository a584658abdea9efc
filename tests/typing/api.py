"""Everything that users import, used as they use it; mypy checks it, nothing runs it (``assert_type`` is for mypy)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, assert_type

import numpy as np

import otel_shadow
from otel_shadow import evidence, testing, verdict
from otel_shadow.openfeature import OpenFeatureFlags
from otel_shadow.slots import is_washout, slot_at

MIDNIGHT = datetime(2025, 1, 9, tzinfo=UTC)


# --- otel_shadow: nodes, the manager and its flags ------------------------------------------------------------------
def greeting_v2(state: dict[str, str]) -> dict[str, str]:
    return state


@otel_shadow.with_shadow_v2(
    greeting_v2,
    compare={"fields": ["*"]},
    compare_with=lambda v1, v2: sorted(v1.keys() ^ v2.keys()),
    timeout_ms=500,
    sample=0.5,
    live=False,
)
def greeting(state: dict[str, str]) -> dict[str, str]:
    return state


assert_type(greeting({}), dict[str, str])


@otel_shadow.with_shadow_v2("module:Class.method")
async def waiting(state: dict[str, str]) -> int:
    return len(state)


async def typed_nodes() -> None:
    assert_type(await waiting({}), int)


@otel_shadow.side_effect
def book(day: str) -> int:
    return len(day)


@otel_shadow.side_effect(name="send")
async def send_mail(text: str) -> str:
    return text


assert_type(slot_at(1736418645.123, "enrolment", 60, 1 / 3).is_holdout, bool)
assert_type(is_washout(1736418645.123, "enrolment", 60, 1 / 3), bool)


async def typed_side_effects() -> None:
    assert_type(book("monday"), int)
    assert_type(await send_mail("hello"), str)
    assert_type(otel_shadow.is_shadow(), bool)


class Printer(otel_shadow.Sink):
    """A sink of a user's own."""

    def emit(self, record: otel_shadow.ShadowRecord) -> None:
        print(record.pair_id)


class TurnedDown:
    """A source of flags of a user's own."""

    @property
    def current(self) -> otel_shadow.FeatureFlags:
        return otel_shadow.FeatureFlags(router_v2_shadow=False)


def typed_manager(source: otel_shadow.FlagSource) -> None:
    config = otel_shadow.ShadowConfig.from_mapping({"nodes": {"greeting": {"timeout_ms": 100}}})
    assert_type(config, otel_shadow.ShadowConfig)
    assert_type(otel_shadow.ShadowConfig.load(Path("shadow.toml")), otel_shadow.ShadowConfig)
    manager = otel_shadow.ShadowTrafficManager(config, source, log_file="app.log", sinks=[Printer()])
    assert_type(manager, otel_shadow.ShadowTrafficManager)
    assert_type(manager.flush(1.0), bool)
    manager.shutdown(1.0)
    middleware = otel_shadow.ShadowIntegrationMiddleware({"greeting": greeting_v2}, manager)
    assert_type(middleware.wrap("greeting", greeting)({}), dict[str, str])
    assert_type(middleware.manager, otel_shadow.ShadowTrafficManager)
    instrumentor = otel_shadow.ShadowInstrumentor()
    instrumentor.instrument(config=config, raise_errors=True)
    instrumentor.uninstrument()


def typed_flags() -> None:
    flags = otel_shadow.FeatureFlags.from_file("flags.toml")
    assert_type(flags, otel_shadow.FeatureFlags)
    assert_type(flags.router_v2_percentage, float)
    assert_type(flags.architecture_mode("demo_001"), otel_shadow.Mode)
    typed_manager(flags)
    typed_manager(TurnedDown())
    typed_manager(OpenFeatureFlags(flags))


def typed_record(record: otel_shadow.ShadowRecord) -> None:
    assert_type(record.mode, otel_shadow.Mode)
    assert_type(record.arm, otel_shadow.Arm)
    assert_type(record.v1, otel_shadow.Observation)
    assert_type(record.v2, otel_shadow.Observation | None)
    assert_type(record.v1.status, otel_shadow.Status)
    assert_type(record.v1.latency_s, float | None)
    assert_type(record.comparison, otel_shadow.Comparison)
    assert_type(record.comparison.outcome, otel_shadow.Outcome)
    assert_type(record.comparison.diff_fields, tuple[str, ...])
    assert_type(record.is_pair, bool)
    assert_type(record.timestamp, datetime)


def typed_errors() -> None:
    try:
        otel_shadow.ShadowConfig.load()
    except otel_shadow.ConfigError as error:
        assert_type(error.problems, tuple[str, ...])
    except otel_shadow.SideEffectBlockedError as error:
        assert_type(error.name, str)
    except (otel_shadow.EvidenceError, otel_shadow.MissingExtraError) as error:
        base: otel_shadow.ShadowError = error
        print(base)


# --- otel_shadow.verdict --------------------------------------------------------------------------------------------
def typed_verdict(summary: verdict.Summary) -> None:
    policy = verdict.Policy(parity=0.9, nodes={"greeting": verdict.Bounds(parity=0.98)})
    assert_type(policy.bounds("greeting"), verdict.Bounds)
    verdict.prepare(summary, policy, MIDNIGHT)
    found = verdict.evaluate(summary, policy, at=MIDNIGHT)
    assert_type(found, verdict.Verdict)
    assert_type(found.decision, verdict.Decision)
    assert_type(found.exit_code, int)
    assert_type(found.window, verdict.Window | None)
    assert_type(found.build, verdict.Build | None)
    assert_type(found.node("greeting"), verdict.NodeVerdict)
    assert_type(found.blockers, tuple[str, ...])
    assert_type(found.to_dict(), dict[str, Any])
    parity = found.criterion("parity")
    assert_type(parity, verdict.CriterionResult)
    assert_type(parity.lower, float | None)
    assert_type(parity.missing, tuple[str, ...])
    assert_type(parity.parts, tuple[verdict.Part, ...])


def typed_summary() -> None:
    summary = verdict.Summary.from_arrays("greeting", np.arange(3), [0.0, 1.0, 2.0], [True, False, True])
    assert_type(summary, verdict.Summary)
    assert_type(summary.merge(summary), verdict.Summary)
    assert_type(summary.rows, verdict.Rows)
    former: type[verdict.ExecutionKind] = verdict.Signature
    print(former)
    assert_type(summary.signatures, tuple[verdict.ExecutionKind, ...])
    assert_type(summary.reading, verdict.Reading)
    assert_type(dict(summary.samples), dict[verdict.ExecutionKind, tuple[verdict.Sample, ...]])
    path = verdict.looks(summary, node="greeting", at=[MIDNIGHT])
    assert_type(path, tuple[verdict.Look, ...])
    typed_verdict(summary)


# --- otel_shadow.evidence -------------------------------------------------------------------------------------------
def told(progress: evidence.Progress) -> None:
    assert_type(progress.done, int)


def typed_evidence() -> None:
    summary = evidence.read(["app.log"], progress=told, threads=2, memory="2GB")
    assert_type(summary, verdict.Summary)
    assert_type(summary.reading, evidence.Reading)
    evidence.save(summary, "monday.npz")
    assert_type(evidence.load(Path("monday.npz")), verdict.Summary)
    with evidence.Watch(["app.log"]) as watch:
        assert_type(watch, evidence.Watch)
        assert_type(watch.poll(), verdict.Summary)
    shown = evidence.view_of(summary, verdict.evaluate(summary))
    assert_type(shown, evidence.EvidenceView)
    assert_type(shown.parity, tuple[evidence.ParityPoint, ...])
    assert_type(shown.bands, tuple[evidence.BandPoint, ...])
    assert_type(shown.latency, tuple[evidence.LatencyHistogram, ...])
    assert_type(shown.confusion, tuple[evidence.Confusion, ...])
    assert_type(shown.mismatches, tuple[evidence.MismatchGroup, ...])
    assert_type(shown.mismatches[0].samples, tuple[evidence.Sample, ...])


def typed_bad_source(error: evidence.EvidenceError) -> str:
    return str(error)


# --- otel_shadow.testing --------------------------------------------------------------------------------------------
def typed_template() -> None:
    sample = testing.SampleState({"text": "I am Ana"}, expect={"child_name": "Ana"})
    template = testing.Template(
        "greeting",
        frozenset({"child_name"}),
        (sample,),
        extra=(
            testing.extracts("finds names", ["child_name"], [sample]),
            testing.progresses("moves on", "current_step", [sample]),
        ),
    )
    assert_type(template.checks, tuple[testing.Check, ...])
    general: tuple[testing.Check, ...] = testing.GENERAL_CHECKS
    assert_type(general[0].judge(greeting, template), str | None)
    report = testing.check_node(greeting, template)
    assert_type(report, testing.ComplianceReport)
    assert_type(report.failures, tuple[testing.CheckResult, ...])
    assert_type(report["finds names"].passed, bool)


def test_of_a_user(shadow_capture: testing.ShadowCapture, graph: Any) -> None:
    shadow_capture.attach(graph, {"greeting": greeting_v2})
    assert_type(shadow_capture.records, list[otel_shadow.ShadowRecord])
    assert_type(shadow_capture.lines("SHADOW_V2"), list[dict[str, Any]])
    (span,) = shadow_capture.spans("v2.shadow")
    assert_type(span, testing.CapturedSpan)
    assert_type(span.parent_id, str | None)
    assert_type(span.attributes, Mapping[str, Any])
    assert_type(span.ended_ns, int)
    assert_type(shadow_capture.exported(), dict[str, bytes])
    shadow_capture.close()
