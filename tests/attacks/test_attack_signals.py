"""What a signal's handler raises is meant for the application, also when it arrives in the middle of our work."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from small_graphs import call, left, small_graph

from otel_shadow import FeatureFlags
from otel_shadow._runtime.fault_barrier import passes
from otel_shadow.record import Status
from otel_shadow.testing.capture import ShadowCapture

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm signal here")


class SoftTimeLimitError(Exception):
    """A plain ``Exception``, as job queues raise it in the main thread."""


def handle(number: int, frame: Any) -> None:
    raise SoftTimeLimitError


class Handler:
    def __call__(self, number: int, frame: Any) -> None:
        raise SoftTimeLimitError

    def method(self, number: int, frame: Any) -> None:
        raise SoftTimeLimitError


HANDLERS: dict[str, Callable[[], Any]] = {
    "function": lambda: handle,
    "method": lambda: Handler().method,
    "object": Handler,
    "partial": lambda: functools.partial(lambda word, number, frame: handle(number, frame), "word"),
}


@pytest.fixture
def install() -> Iterator[Callable[[Any], None]]:
    before = signal.getsignal(signal.SIGALRM)
    yield lambda handler: signal.signal(signal.SIGALRM, handler)
    signal.signal(signal.SIGALRM, before)


class Interrupted:
    """The alarm goes off while this is copied."""

    def __reduce__(self) -> Any:
        os.kill(os.getpid(), signal.SIGALRM)
        return dict, ()


@pytest.mark.parametrize("kind", HANDLERS)
def test_a_time_limit_that_hits_our_snapshot(
    shadow_capture: ShadowCapture, install: Callable[[Any], None], kind: str
) -> None:
    """The application's time limit arrives: it is not taken for a fault of the state."""
    install(HANDLERS[kind]())
    graph = shadow_capture.attach(small_graph(), {"left": left})
    with pytest.raises(SoftTimeLimitError):
        call(graph, {"text": "hello", "data": {"it": Interrupted()}})
    assert shadow_capture.swallowed == {}


def test_a_time_limit_that_hits_while_v2_serves(make_shadow_capture: Any, install: Callable[[Any], None]) -> None:
    """A live V2 is waited for when the limit arrives: V1 does not begin anew."""
    ran: list[str] = []

    def v1(state: Any) -> Any:
        ran.append("v1")
        return left(state)

    def v2(state: Any) -> Any:
        os.kill(os.getpid(), signal.SIGALRM)
        return left(state)

    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100, timeout_is_explicit=False)
    capture = make_shadow_capture({}, flags)
    install(handle)
    graph = capture.attach(small_graph(v1), {"left": v2})

    def turns() -> None:
        for _ in range(50):  # the signal may be handled only when V2 has answered
            call(graph)

    with pytest.raises(SoftTimeLimitError):
        turns()
    assert ran == []


def test_what_no_handler_raised_is_a_fault(install: Callable[[Any], None]) -> None:
    """The same exception from elsewhere, and an exception out of an enumeration, are swallowed as ever."""
    install(handle)
    for make in (lambda: Status("no such word"), lambda: int("x"), lambda: Handler().missing):  # type: ignore[attr-defined]
        with pytest.raises((ValueError, AttributeError)) as seen:
            make()
        assert not passes(seen.value)
    assert not passes(SoftTimeLimitError())
