"""The holdout on V1's path: a slot of time in which no shadow starts, the same for all sessions and replicas."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from small_graphs import call, left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow import FeatureFlags, ShadowConfig, ShadowTrafficManager
from otel_shadow._runtime import holdout_clock
from otel_shadow._runtime.holdout_clock import HoldoutClock
from otel_shadow.config import ArmsTable
from otel_shadow.slots import slot_at
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
START = 1_700_000_100
"""The beginning of a block of three slots of a minute."""
V2: dict[str, Any] = {"left": left}


class Clock:
    """Epoch seconds, moved by hand."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def slots(capture: ShadowCapture, clock: Clock, seconds: range, session: str | None = None) -> list[tuple[Any, ...]]:
    """Call the graph at each of ``seconds`` after the start; second, arm and reason of each record of ``left``."""
    graph = capture.attach(small_graph(), V2)
    for number, second in enumerate(seconds):
        clock.now = START + second
        call(graph, session=session or f"session_{number}")
    found = [record for record in capture.records if record.node == "left"]
    return [(round(record.timestamp.timestamp() - START), str(record.arm), record.reason) for record in found]


def test_no_shadow_starts_in_a_slot_of_the_holdout(make_shadow_capture: MakeCapture) -> None:
    """One session in twelve slots: each of its executions has the arm of its slot, and the reason in a held-out one."""
    clock = Clock()
    capture = make_shadow_capture({"arms": {"holdout": 0.333}}, clock=clock)
    seen = slots(capture, clock, range(0, 720, 20), session="session_1")
    held = [slot_at(START + second, "test", 60, 1 / 3).is_holdout for second in range(0, 720, 20)]
    assert sum(held) == 12
    assert seen == [
        (second, "holdout", "holdout") if held_out else (second, "shadowed", None)
        for second, held_out in zip(range(0, 720, 20), held, strict=True)
    ]


def test_all_replicas_and_builds_of_a_service_agree(make_shadow_capture: MakeCapture) -> None:
    """Neither the hash key, nor the build, nor the session enters."""
    seen = []
    for key, build in (("one key", "1"), ("another", "2")):
        clock = Clock()
        config = {"v2_build": build, "arms": {"holdout": 0.5, "slot_seconds": 10}}
        capture = make_shadow_capture(config, clock=clock, hash_key=key)
        seen.append([arm for _, arm, _ in slots(capture, clock, range(0, 200, 10))])
    assert seen[0] == seen[1]
    assert Counter(seen[0]) == {"shadowed": 10, "holdout": 10}


def test_the_lines_say_by_what_the_slots_were_drawn(make_shadow_capture: MakeCapture) -> None:
    """Service, shares, length, percentage, and the probability of a shadow over both kinds of slots: on every line."""
    clock = Clock()
    config = {
        "nodes": {"left": {"sample": 0.5}},
        "arms": {"holdout": 0.25, "slot_seconds": 30},
        "flags": {"percentage": 12.5},
    }
    capture = make_shadow_capture(config, clock=clock)
    seen = slots(capture, clock, range(0, 600, 10))
    assert {reason for _, _, reason in seen} == {None, "holdout", "sampled_out"}
    told = {
        tuple(line[key] for key in ("service", "probability", "sample", "holdout", "slot_seconds", "percentage"))
        for line in capture.lines()
        if line["event"] != "SHADOW_COMPARISON"
    }
    assert told == {("test", 0.375, 0.5, 0.25, 30, 12.5)}


def test_sampled_out_sessions_stay_out_in_the_holdout(make_shadow_capture: MakeCapture) -> None:
    """Such a session is on neither side of the comparison: its reason is the sample, whatever the slot."""
    clock = Clock()
    capture = make_shadow_capture({"nodes": {"left": {"sample": 0.0}}, "arms": {"holdout": 0.5}}, clock=clock)
    seen = slots(capture, clock, range(60, 1260, 60))
    assert Counter((arm, reason) for _, arm, reason in seen) == {
        ("shadowed", "sampled_out"): 10,
        ("holdout", "sampled_out"): 10,
    }


def test_live_sessions_are_live_in_the_holdout(make_shadow_capture: MakeCapture) -> None:
    """No shadow starts there; who is served V2 is served V2."""
    clock = Clock()
    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100.0)
    capture = make_shadow_capture({"arms": {"holdout": 0.5}}, flags, clock=clock)
    assert {reason for _, _, reason in slots(capture, clock, range(0, 240, 60))} == {"live"}


@pytest.mark.parametrize(
    ("flag", "share", "held"), [(None, 0.5, 10), (0.25, 0.5, 5), (0.0, 0.5, 0), (1.0, 0.0, 20), (0.5, 0.0, 10)]
)
def test_the_flag_outranks_the_file(
    make_shadow_capture: MakeCapture, flag: float | None, share: float, held: int
) -> None:
    """``ROUTER_V2_HOLDOUT``, where it is set, is the share, also 0."""
    clock = Clock()
    capture = make_shadow_capture({"arms": {"holdout": share}}, FeatureFlags(router_v2_holdout=flag), clock=clock)
    seen = slots(capture, clock, range(60, 1260, 60))  # whole blocks of two and of four
    assert sum(arm == "holdout" for _, arm, _ in seen) == held


def test_a_flag_that_changes_holds_at_once(make_shadow_capture: MakeCapture) -> None:
    """A session that is known already is not held to the former share."""

    class Source:
        current = FeatureFlags(router_v2_holdout=0.0)

    clock, source = Clock(), Source()
    capture = make_shadow_capture({}, source, clock=clock)
    graph = capture.attach(small_graph(), V2)
    for share in (0.0, 1.0, 0.0):
        source.current = FeatureFlags(router_v2_holdout=share)
        call(graph, session="session_1")
    assert [str(record.arm) for record in capture.records if record.node == "left"] == [
        "shadowed", "holdout", "shadowed",
    ]  # fmt: skip


def test_a_held_out_instance_is_held_out_at_all_times(make_shadow_capture: MakeCapture) -> None:
    """``holdout_instance`` needs no slots."""
    clock = Clock()
    capture = make_shadow_capture({"arms": {"holdout": 0.0, "holdout_instance": True}}, clock=clock)
    assert {arm for _, arm, _ in slots(capture, clock, range(0, 600, 60))} == {"holdout"}


def test_a_clock_that_is_set_back_is_asked_anew(make_shadow_capture: MakeCapture) -> None:
    """The remembered slot counts for its own time only."""
    clock = Clock()
    capture = make_shadow_capture({"arms": {"holdout": 0.5}}, clock=clock)
    seconds = [*range(0, 600, 60), *range(540, -60, -60)]
    graph = capture.attach(small_graph(), V2)
    for second in seconds:
        clock.now = START + second
        call(graph, session="session_1")
    seen = [str(record.arm) == "holdout" for record in capture.records if record.node == "left"]
    assert seen == [slot_at(START + second, "test", 60, 0.5).is_holdout for second in seconds]


def test_v1s_path_hashes_once_a_slot(make_shadow_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is kept until the slot ends: a hundred calls of ten sessions work it out once."""
    asked: list[float] = []

    def counted(epoch_s: float, *more: Any) -> Any:
        asked.append(epoch_s)
        return slot_at(epoch_s, *more)

    monkeypatch.setattr(holdout_clock, "slot_at", counted)
    clock = Clock()
    capture = make_shadow_capture({"arms": {"holdout": 0.333}}, clock=clock)
    graph = capture.attach(small_graph(), V2)
    for number in range(100):
        clock.now = START + number * 0.5
        call(graph, session=f"session_{number % 10}")
    assert asked == [START]


def test_what_waits_when_the_holdout_begins_waits_for_its_end(make_shadow_capture: MakeCapture) -> None:
    """A backlog is no shadow of an ordinary slot: none of it runs beside held-out requests."""
    starts = [START + 60 * number for number in range(10)]
    ordinary, held = (
        next(start for start in starts if slot_at(start, "test", 60, 0.5).is_holdout is which)
        for which in (False, True)
    )
    clock, first = Clock(ordinary), threading.Event()
    ran: list[float] = []
    looks: list[bool] = []
    capture = make_shadow_capture({"arms": {"holdout": 0.5}, "limits": {"concurrency": 1}}, clock=clock)
    services = capture.manager.services

    def looked() -> bool:
        looks.append(services.holdout.is_quiet(services.flags.current, clock.now))
        return looks[-1]

    def v2(state: Any) -> dict[str, Any]:
        ran.append(clock.now)
        first.wait(PATIENCE_S)
        return {}

    graph = capture.attach(small_graph(), {"left": v2})
    for _ in range(2):
        call(graph)
    until(lambda: ran)
    clock.now = held + 5.0
    capture.manager.dispatcher._is_quiet = looked
    first.set()
    until(lambda: len(looks) > 3)
    assert (ran, set(looks)) == ([ordinary], {True})
    clock.now = held + 60.0 if not slot_at(held + 60.0, "test", 60, 0.5).is_holdout else held + 120.0
    until(lambda: len(ran) == 2)


@pytest.mark.parametrize(("second", "quiet"), [(0, False), (4.9, False), (5, True), (59.9, True)])
def test_the_first_twelfth_of_a_holdout_slot_is_for_v1s_that_have_just_ended(second: float, quiet: bool) -> None:
    """Their shadows are over by the end of the first sixth, which counts in no latency."""
    clock = HoldoutClock(ArmsTable(holdout=0.5), lambda: "test")
    held = next(START + 60 * number for number in range(4) if slot_at(START + 60 * number, "test", 60, 0.5).is_holdout)
    assert clock.is_quiet(FeatureFlags(), held + second) is quiet
    assert not clock.is_quiet(FeatureFlags(router_v2_holdout=1.0), held + second)
    assert not clock.is_quiet(FeatureFlags(router_v2_holdout=0.0), held + second)


def test_noise_runs_pause_in_the_holdout(make_shadow_capture: MakeCapture) -> None:
    """V1 runs a second time in ordinary slots only, also where its V2 began in one."""
    clock, calls = Clock(), []
    capture = make_shadow_capture({"arms": {"holdout": 0.5, "noise": 1.0}}, clock=clock)
    held = {second: slot_at(START + second, "test", 60, 0.5).is_holdout for second in range(0, 600, 60)}
    before = next(second for second in held if not held[second] and held.get(second + 60))

    def v1(state: Any) -> dict[str, Any]:
        calls.append(clock.now)
        return left(state)

    def v2(state: Any) -> dict[str, Any]:
        if state["text"] == "long":
            clock.now = START + before + 60
        return left(state)

    graph = capture.attach(small_graph(v1), {"left": v2})
    for second in held:
        clock.now = START + second
        call(graph)
        capture.settle()
    assert {second: calls.count(START + second) for second in held} == {
        second: 2 - is_held for second, is_held in held.items()
    }
    calls.clear()
    clock.now = START + before
    call(graph, {"text": "long"})
    record = capture.records[-1] if capture.records[-1].node == "left" else capture.records[-2]
    assert (record.is_pair, record.comparison.self_match, len(calls)) == (True, None, 1)


def test_the_dispatcher_goes_by_the_systems_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """And by no other: a clock that is made up may stand still in a holdout slot until what waits has run."""
    held = next(
        start for start in range(START, START + 600, 60) if slot_at(start, "unknown_service", 60, 0.5).is_holdout
    )
    system, made_up = Clock(held + 30), Clock(held + 30)
    monkeypatch.setattr("otel_shadow._api.manager.time", system)
    config = ShadowConfig.from_mapping({"arms": {"holdout": 0.5}})
    for clock, quiet in ((system, True), (made_up, False)):
        manager = ShadowTrafficManager(config, log_file=os.devnull, clock=clock)
        assert manager.dispatcher._is_quiet() is quiet
        manager.shutdown()
