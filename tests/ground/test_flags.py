"""Flags, precedence, the mode of a session and its consistent bucket."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import call, left, small_graph

from otel_shadow import ConfigError, FeatureFlags, Mode, ShadowInstrumentor, semconv, with_shadow_v2
from otel_shadow._runtime.execution import begin
from otel_shadow.cohorts import cohorts, is_id
from otel_shadow.config import ShadowConfig
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
BAD = {
    "ROUTER_V2_ENABLED": "maybe",
    "ROUTER_V2_SHADOW": "2",
    "ROUTER_V2_PERCENTAGE": "150",
    "V2_TIMEOUT_MS": "-5",
    "SHADOW_LOGGING": "loud",
    "ROUTER_V2_HOLDOUT": "-1",
}


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def live_share(percentage: float, count: int = 20_000) -> float:
    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=percentage)
    return sum(flags.architecture_mode(f"s{n}") is Mode.V2_LIVE for n in range(count)) / count


def test_defaults_are_those_of_the_product() -> None:
    """With nothing set, V2 runs in shadow for everybody, 5 s at most, and is logged."""
    flags = FeatureFlags()
    assert flags.model_dump() == {
        "router_v2_enabled": False,
        "router_v2_shadow": True,
        "router_v2_percentage": 0.0,
        "v2_timeout_ms": 5000,
        "shadow_logging": True,
        "router_v2_holdout": None,
    }
    assert flags.architecture_mode("anybody") is Mode.V2_SHADOW


def test_the_six_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the six environment variables sets its flag."""
    set_all(
        monkeypatch,
        {
            "ROUTER_V2_ENABLED": "true",
            "ROUTER_V2_SHADOW": "false",
            "ROUTER_V2_PERCENTAGE": "0.5",
            "V2_TIMEOUT_MS": "250",
            "SHADOW_LOGGING": "false",
            "ROUTER_V2_HOLDOUT": "0.1",
        },
    )
    assert FeatureFlags().model_dump() == {
        "router_v2_enabled": True,
        "router_v2_shadow": False,
        "router_v2_percentage": 0.5,
        "v2_timeout_ms": 250,
        "shadow_logging": False,
        "router_v2_holdout": 0.1,
    }


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ROUTER_V2_PERCENTAGE=`` means the default, as deployments write it."""
    set_all(monkeypatch, dict.fromkeys(BAD, ""))
    assert FeatureFlags() == FeatureFlags.model_construct(
        router_v2_enabled=False,
        router_v2_shadow=True,
        router_v2_percentage=0.0,
        v2_timeout_ms=5000,
        shadow_logging=True,
        timeout_is_explicit=False,
    )


@pytest.mark.parametrize("blank", [" ", "\r", "\t ", "\n"])
def test_blanks_around_a_value_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    """Files of variables leave blanks and carriage returns behind a value; blanks alone are no value."""
    values = {
        "ROUTER_V2_ENABLED": "true", "ROUTER_V2_SHADOW": "false", "ROUTER_V2_PERCENTAGE": "10",
        "V2_TIMEOUT_MS": "250", "SHADOW_LOGGING": "false", "ROUTER_V2_HOLDOUT": "0.1",
    }  # fmt: skip
    set_all(monkeypatch, {name: f"{blank}{value}{blank}" for name, value in values.items()})
    flags = FeatureFlags()
    assert (flags.router_v2_enabled, flags.router_v2_shadow, flags.shadow_logging) == (True, False, False)
    assert (flags.router_v2_percentage, flags.v2_timeout_ms, flags.timeout_is_explicit) == (10.0, 250, True)
    assert flags.router_v2_holdout == 0.1
    set_all(monkeypatch, dict.fromkeys(values, blank))
    flags = FeatureFlags()
    assert (flags.router_v2_enabled, flags.router_v2_shadow, flags.shadow_logging) == (False, True, True)
    assert (flags.router_v2_percentage, flags.v2_timeout_ms, flags.timeout_is_explicit) == (0.0, 5000, False)
    assert flags.router_v2_holdout is None


def test_a_boolean_is_no_number() -> None:
    """``True`` is 1 to Python: as a percentage it would serve V2 to one session in a hundred."""
    with pytest.raises(ConfigError) as caught:
        FeatureFlags(router_v2_percentage=True, v2_timeout_ms=True)
    assert caught.value.problems == (
        "ROUTER_V2_PERCENTAGE: got True, expected a number from 0 to 100, such as 10 or 0.5, not true or false",
        "V2_TIMEOUT_MS: got True, expected a whole number of milliseconds from 1 to 86400000, not true or false",
    )


def test_one_error_lists_every_bad_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """All six are bad: one error names each with what was read and what is expected."""
    set_all(monkeypatch, BAD)
    with pytest.raises(ConfigError) as caught:
        FeatureFlags()
    assert caught.value.problems == (
        "ROUTER_V2_ENABLED: got 'maybe', expected true or false",
        "ROUTER_V2_SHADOW: got '2', expected true or false",
        "ROUTER_V2_PERCENTAGE: got '150', expected a number from 0 to 100, such as 10 or 0.5",
        "V2_TIMEOUT_MS: got '-5', expected a whole number of milliseconds from 1 to 86400000",
        "SHADOW_LOGGING: got 'loud', expected true or false",
        "ROUTER_V2_HOLDOUT: got '-1', expected a number from 0 to 1",
    )


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "100.1", "ten", "10%"])
def test_a_percentage_is_a_number_from_0_to_100(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Nothing else is a percentage."""
    monkeypatch.setenv("ROUTER_V2_PERCENTAGE", value)
    with pytest.raises(ConfigError, match="ROUTER_V2_PERCENTAGE: got '"):
        FeatureFlags()


def test_under_auto_instrumentation_errors_are_logged_once_and_v1_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Bad flags and a bad configuration make one log line that lists all, and the graph runs as if we were absent."""
    set_all(monkeypatch, BAD)
    instrumentor = ShadowInstrumentor()
    with caplog.at_level(logging.INFO, logger="otel_shadow"):
        instrumentor.instrument(config={"nodes": {"left": {"v2": "nonsense"}}}, skip_dep_check=True)
    try:
        answer = call(small_graph())
    finally:
        instrumentor.uninstrument()
    assert answer["trail"] == ["left", "right"]
    assert len(caplog.records) == 1
    said = caplog.text
    assert all(name in said for name in BAD)
    assert "nodes.left.v2" in said


def test_the_bucket_is_uniform() -> None:
    """Over 100,000 ids every per cent of the range holds its share (chi-square, 99 degrees, 1e-6)."""
    counts = Counter(int(cohorts(f"session-{n}").rollout * 100) for n in range(100_000))
    statistic = sum((counts[cell] - 1000) ** 2 / 1000 for cell in range(100))
    assert statistic < 180.0  # quantile 1 - 1e-6 of chi-square with 99 degrees of freedom is 176.6


def test_the_shares_of_one_session_are_independent() -> None:
    """Who is sampled says nothing of who goes live: the joint share is the product."""
    lots = [cohorts(f"session-{n}") for n in range(50_000)]
    both = sum(lot.rollout < 0.3 and lot.sample < 0.3 for lot in lots) / len(lots)
    assert both == pytest.approx(0.09, abs=0.006)


@given(st.text(min_size=1), st.floats(0, 100), st.floats(0, 100))
def test_the_rollout_is_monotone(session: str, some: float, more: float) -> None:
    """A session that is live at a percentage is live at every higher one."""
    low, high = sorted((some, more))
    at_low = FeatureFlags(router_v2_enabled=True, router_v2_percentage=low).architecture_mode(session)
    at_high = FeatureFlags(router_v2_enabled=True, router_v2_percentage=high).architecture_mode(session)
    assert at_low is not Mode.V2_LIVE or at_high is Mode.V2_LIVE


@given(st.text())
def test_buckets_lie_in_the_unit_interval(session: str) -> None:
    """Every id, the empty and the strange ones included, has its three numbers in [0, 1)."""
    assert all(0.0 <= lot < 1.0 for lot in cohorts(session))


@given(st.text(alphabet=st.characters(codec=None, categories=["Cs", "L"])))
def test_ids_that_are_no_valid_unicode_have_a_bucket_too(session: str) -> None:
    """A lone surrogate in an id is no reason to fail."""
    assert cohorts(session) == cohorts(session)


def test_a_percentage_of_one_half_works() -> None:
    """Decimals count: 0.5 serves one session in two hundred."""
    assert live_share(0.5, 100_000) == pytest.approx(0.005, abs=0.0012)


@pytest.mark.parametrize(("percentage", "share"), [(0, 0.0), (10, 0.1), (50, 0.5), (100, 1.0)])
def test_the_share_is_the_percentage(percentage: float, share: float) -> None:
    """0 is nobody, 100 is everybody, and between them it is the share of the sessions."""
    tolerance = 0.0 if share in (0.0, 1.0) else 0.012
    assert live_share(percentage) == pytest.approx(share, abs=tolerance)


def test_the_bucket_is_the_same_in_every_process() -> None:
    """Another interpreter with another hash seed finds the same cohorts, and so will the next release."""
    code = (
        "import json; from otel_shadow.cohorts import cohorts;"
        "print(json.dumps([cohorts(s).rollout for s in ('session_1', 'é', '')]))"
    )
    seen = [
        json.loads(subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, check=True,
                                  capture_output=True, text=True).stdout)
        for seed in ("1", "2")
    ]  # fmt: skip
    here = [cohorts(session).rollout for session in ("session_1", "é", "")]
    assert seen == [here, here]
    assert here == [0.7052136371522213, 0.13860549977008862, 0.010652066384222114]


def test_modes() -> None:
    """Live needs both flag and percentage; shadow off is V1 only; live wins over shadow."""
    everybody: dict[str, Any] = {"router_v2_enabled": True, "router_v2_percentage": 100}
    assert FeatureFlags(**everybody).architecture_mode("s") is Mode.V2_LIVE
    assert FeatureFlags(router_v2_percentage=100).architecture_mode("s") is Mode.V2_SHADOW
    assert FeatureFlags(router_v2_enabled=True).architecture_mode("s") is Mode.V2_SHADOW
    assert FeatureFlags(router_v2_shadow=False).architecture_mode("s") is Mode.V1_ONLY
    assert FeatureFlags(**everybody, router_v2_shadow=False).architecture_mode("s") is Mode.V2_LIVE


@pytest.mark.parametrize("session", ["", " ", "\t\n", "null", "None", "undefined", "NaN"])
def test_a_session_without_an_id_is_live_at_100_percent_only(session: str) -> None:
    """Below that, V1 and V2 would answer one conversation in turn; an empty id, or a word for nothing, is none."""
    for percentage, mode in ((2, Mode.V2_SHADOW), (99.9, Mode.V2_SHADOW), (100, Mode.V2_LIVE)):
        flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=percentage)
        assert flags.mode_of_bucket(None) is mode
        assert flags.architecture_mode(session) is mode


@pytest.mark.parametrize("session", ["0", "none of them", "nullable", "-", "undefined " * 2])
def test_other_ids_are_ids(session: str) -> None:
    """Only what is written where there is no id is none."""
    assert is_id(session)


def test_the_environment_outranks_shadow_toml_which_outranks_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, then ``[flags]``, then arguments, then defaults: each flag by itself."""
    monkeypatch.setenv("ROUTER_V2_PERCENTAGE", "25")
    table = ShadowConfig.from_mapping({"flags": {"percentage": 50, "timeout_ms": 300}}).flags
    arguments = {"percentage": 75, "timeout_ms": 400, "logging": False}
    flags = FeatureFlags.resolve(table, arguments)
    assert (flags.router_v2_percentage, flags.v2_timeout_ms, flags.shadow_logging, flags.router_v2_shadow) == (
        25.0,
        300,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("environment", "config", "decorator", "expected_ms"),
    [
        ("400", {"flags": {"timeout_ms": 300}, "nodes": {"left": {"timeout_ms": 200}}}, 100, 400),
        (None, {"flags": {"timeout_ms": 300}, "nodes": {"left": {"timeout_ms": 200}}}, 100, 200),
        (None, {"flags": {"timeout_ms": 300}}, 100, 300),
        (None, {}, 100, 100),
        (None, {"flags": {"timeout_ms": 300}}, None, 300),
        (None, {}, None, 5000),
    ],
)
def test_the_time_limit_follows_the_precedence(
    monkeypatch: pytest.MonkeyPatch,
    make_shadow_capture: MakeCapture,
    environment: str | None,
    config: dict[str, Any],
    decorator: int | None,
    expected_ms: int,
) -> None:
    """Environment over the node's table over ``[flags]`` over the decorator over the default."""
    if environment is not None:
        monkeypatch.setenv("V2_TIMEOUT_MS", environment)
    settings = ShadowConfig.from_mapping(config)
    capture = make_shadow_capture(settings, FeatureFlags.resolve(settings.flags))

    def node(state: dict[str, Any]) -> dict[str, Any]:
        return left(state)  # type: ignore[arg-type]

    capture.attach(small_graph(with_shadow_v2(left, timeout_ms=decorator, manager=capture.manager)(node)))
    execution = begin(capture.manager.nodes["small", "left"], {}, {"thread_id": "session_2"})
    assert execution is not None
    assert execution.assignment.timeout_s * 1000 == expected_ms


def test_going_live_at_10_percent_is_two_variables(
    monkeypatch: pytest.MonkeyPatch, make_shadow_capture: MakeCapture
) -> None:
    """``ROUTER_V2_ENABLED=true ROUTER_V2_PERCENTAGE=10`` serves V2 to a tenth of the sessions, the same every time."""
    set_all(monkeypatch, {"ROUTER_V2_ENABLED": "true", "ROUTER_V2_PERCENTAGE": "10"})
    capture = make_shadow_capture({}, FeatureFlags())
    graph = capture.attach(small_graph(), {"left": lambda _: {"trail": ["v2"], "next_node": "__end__"}})
    served = [{n for n in range(150) if call(graph, session=f"s{n}")["trail"] == ["v2"]} for _ in range(2)]
    expected = {n for n in range(150) if cohorts(f"s{n}").rollout < 0.1}
    assert served == [expected, expected]
    assert expected


def test_shadow_off_is_one_variable(monkeypatch: pytest.MonkeyPatch, make_shadow_capture: MakeCapture) -> None:
    """``ROUTER_V2_SHADOW=false``: V2 never runs and nothing is written."""
    monkeypatch.setenv("ROUTER_V2_SHADOW", "false")
    capture = make_shadow_capture({}, FeatureFlags())
    ran: list[int] = []
    graph = capture.attach(small_graph(), {"left": lambda _: ran.append(1)})
    assert call(graph)["trail"] == ["left", "right"]
    assert (ran, capture.lines(), capture.spans()) == ([], [], [])


def test_live_false_keeps_a_node_in_shadow(make_shadow_capture: MakeCapture) -> None:
    """While all sessions are live, the node with ``live = false`` still answers with V1 and is shadowed."""
    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100)
    capture = make_shadow_capture({"nodes": {"left": {"live": False}}}, flags)
    v2 = {"left": lambda _: {"trail": ["left2"], "next_node": "right"}, "right": lambda _: {"trail": ["right2"]}}
    graph = capture.attach(small_graph(), v2)
    assert call(graph)["trail"] == ["left", "right2"]
    modes = {line["node"]: (line["event"], line["mode"]) for line in capture.lines()}
    assert modes["left"] == (semconv.EVENT_COMPARISON, "v2_shadow")
    assert modes["right"] == (semconv.EVENT_BASELINE, "v2_live")


def test_live_false_without_shadow_is_v1_only(make_shadow_capture: MakeCapture) -> None:
    """Shadow is off and the node may not go live: V1, and not a word."""
    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100, router_v2_shadow=False)
    capture = make_shadow_capture({"nodes": {"left": {"live": False}}}, flags)
    graph = capture.attach(small_graph(), {"left": lambda _: {"trail": ["left2"]}})
    assert call(graph)["trail"] == ["left", "right"]
    assert capture.lines() == []


def test_shadow_logging_off_keeps_spans_and_metrics(make_shadow_capture: MakeCapture) -> None:
    """``SHADOW_LOGGING=false`` silences lines and log events only."""
    capture = make_shadow_capture({}, FeatureFlags(shadow_logging=False))
    call(capture.attach(small_graph(), {"left": left}))
    assert [span.name for span in capture.spans()] == ["v1.node", "v2.shadow"]
    assert capture.value(semconv.EXECUTIONS, shadow__status="success") == 1
    assert capture.lines() == []
    assert capture.exported()["events"] == b""


def test_a_flag_source_that_raises_is_not_felt(make_shadow_capture: MakeCapture) -> None:
    """A source of flags of the user's own may break; V1 runs, and the error is counted."""

    class Broken:
        @property
        def current(self) -> FeatureFlags:
            raise RuntimeError("no flags today")

    capture = make_shadow_capture({}, Broken())
    assert call(capture.attach(small_graph(), {"left": left}))["trail"] == ["left", "right"]
    assert capture.swallowed["enter"] == 1
