"""Flags from OpenFeature, with the SDK's own in-memory provider: changed without a restart, never on V1's path."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from openfeature import api
from openfeature.event import ProviderEventDetails
from openfeature.exception import GeneralError
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from small_graphs import call, left, small_graph
from waiting import until

from otel_shadow import FeatureFlags, Mode
from otel_shadow._runtime.execution import begin
from otel_shadow.openfeature import OpenFeatureFlags
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
BASE = FeatureFlags(timeout_is_explicit=False)


class Provider(InMemoryProvider):
    """The in-memory provider, with the threads that asked it, and a switch that breaks it."""

    def __init__(self, **values: Any) -> None:
        super().__init__(flags_of(values))
        self.asked_by: set[str] = set()
        self.broken = False
        self.hanging = threading.Event()
        self.hanging.set()

    def set(self, **values: Any) -> None:
        self._flags = flags_of(values)

    def change(self, **values: Any) -> None:
        """Change flags and say so, as flagd does."""
        self.set(**values)
        self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=list(values)))

    def _resolve(self, *args: Any, **kwargs: Any) -> Any:
        self.asked_by.add(threading.current_thread().name)
        self.hanging.wait(30)
        if self.broken:
            raise GeneralError("the flag server is away")
        return super()._resolve(*args, **kwargs)


def flags_of(values: dict[str, Any]) -> dict[str, InMemoryFlag[Any]]:
    return {name: InMemoryFlag("on", {"on": value}) for name, value in values.items()}


@pytest.fixture
def connect() -> Iterator[Callable[..., tuple[Provider, OpenFeatureFlags]]]:
    """A provider under a domain of its own, and flags that ask it; asked only when told to, unless polled."""
    made: list[OpenFeatureFlags] = []

    def make(
        base: FeatureFlags = BASE, poll_seconds: float = 600.0, **values: Any
    ) -> tuple[Provider, OpenFeatureFlags]:
        provider, domain = Provider(**values), f"shadow-{uuid4().hex}"
        api.set_provider_and_wait(provider, domain) if hasattr(api, "set_provider_and_wait") else api.set_provider(
            provider, domain
        )
        made.append(OpenFeatureFlags(base, domain=domain, poll_seconds=poll_seconds))
        return provider, made[-1]

    yield make
    for flags in made:
        flags.close()


def test_the_provider_outranks_environment_and_file(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenFeature over environment over ``[flags]``; what it does not know stays as those say."""
    monkeypatch.setenv("ROUTER_V2_PERCENTAGE", "5")
    monkeypatch.setenv("SHADOW_LOGGING", "false")
    _, flags = connect(FeatureFlags.resolve(), ROUTER_V2_ENABLED=True, ROUTER_V2_PERCENTAGE=50.0)
    now = flags.current
    assert (now.router_v2_enabled, now.router_v2_percentage, now.shadow_logging) == (True, 50.0, False)


def test_a_whole_number_is_a_percentage_too(connect: Any) -> None:
    """A vendor that knows only numbers answers 10, not 10.0."""
    _, flags = connect(ROUTER_V2_ENABLED=True, ROUTER_V2_PERCENTAGE=10)
    assert flags.current.router_v2_percentage == 10.0


@pytest.mark.parametrize(("flag", "kept"), [("ROUTER_V2_PERCENTAGE", 10.0), ("V2_TIMEOUT_MS", 300)])
def test_a_boolean_for_a_number_is_not_used(
    connect: Any, caplog: pytest.LogCaptureFixture, flag: str, kept: float
) -> None:
    """``true`` is neither 1 % nor 1 ms: the flag keeps its last value, and the log names it."""
    provider, flags = connect(**{flag: kept})
    provider.set(**{flag: True})
    flags.refresh()
    assert getattr(flags.current, flag.lower()) == kept
    assert f"{flag}: got True, expected a" in caplog.text


def test_the_holdout_comes_from_the_provider_too(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Over environment and file; what it does not know stays as those say, and no whole part of the time is told."""
    provider, flags = connect(FeatureFlags(router_v2_holdout=0.25))
    assert flags.current.router_v2_holdout == 0.25
    for given, kept in ((0.1, 0.1), (0, 0.0), (1.5, 0.0), (True, 0.0), (0.15, 0.15)):
        provider.set(ROUTER_V2_HOLDOUT=given)
        flags.refresh()
        assert flags.current.router_v2_holdout == kept
    provider.set()
    flags.refresh()
    assert flags.current.router_v2_holdout == 0.25
    assert caplog.text.count("is taken as one slot in 7") == 1


def test_a_provider_that_knows_no_holdout_leaves_it_to_the_file(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A flag that is set nowhere is no fault of the provider."""
    _, flags = connect(ROUTER_V2_SHADOW=True)
    assert flags.current.router_v2_holdout is None
    assert "ROUTER_V2_HOLDOUT" not in caplog.text


def test_a_number_with_a_point_is_a_time_limit_too(connect: Any) -> None:
    """A vendor that knows only numbers answers 3000.0; a part of a millisecond is refused."""
    provider, flags = connect(V2_TIMEOUT_MS=3000.0)
    assert flags.current.v2_timeout_ms == 3000
    provider.set(V2_TIMEOUT_MS=0.5)
    flags.refresh()
    assert flags.current.v2_timeout_ms == 3000


def test_flags_change_without_a_restart(connect: Any) -> None:
    """The provider says that its configuration changed, and the mode of a running process follows."""
    provider, flags = connect(ROUTER_V2_ENABLED=False)
    assert flags.current.architecture_mode("s") is Mode.V2_SHADOW
    provider.change(ROUTER_V2_ENABLED=True, ROUTER_V2_PERCENTAGE=100.0)
    until(lambda: flags.current.architecture_mode("s") is Mode.V2_LIVE)


def test_a_provider_without_events_is_polled(connect: Any) -> None:
    """A change that nobody announces is found all the same."""
    provider, flags = connect(poll_seconds=0.01)
    provider.set(ROUTER_V2_SHADOW=False)
    until(lambda: flags.current.architecture_mode("s") is Mode.V1_ONLY)


def test_an_environment_that_changes_while_it_is_read_ends_no_polling(
    connect: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The application sets environment variables as the flags are read from it: told once, and asked again."""
    provider, flags = connect(poll_seconds=0.01)
    with monkeypatch.context() as patched:
        patched.setattr(flags, "_checked", lambda *_: {}["a variable that has gone meanwhile"])
        provider.set(ROUTER_V2_SHADOW=False)
        until(lambda: "flags by OpenFeature stay as they were: KeyError" in caplog.text)
        assert flags.current.architecture_mode("s") is Mode.V2_SHADOW
    until(lambda: flags.current.architecture_mode("s") is Mode.V1_ONLY)


def test_no_provider_is_asked_on_v1s_path(connect: Any, make_shadow_capture: MakeCapture) -> None:
    """While the provider hangs, V1 answers, by the flags that were known last."""
    provider, flags = connect()
    capture = make_shadow_capture({}, flags)
    graph = capture.attach(small_graph(), {"left": left})
    provider.asked_by.clear()
    provider.hanging.clear()
    try:
        assert call(graph)["trail"] == ["left", "right"]
        assert len(capture.records) == 1
        assert provider.asked_by <= {"otel-shadow-flags"}
    finally:
        provider.hanging.set()


def test_a_running_graph_goes_live_and_back(connect: Any, make_shadow_capture: MakeCapture) -> None:
    """The same compiled graph serves V2, then V1 again, by the provider's word alone."""
    provider, flags = connect()
    capture = make_shadow_capture({}, flags)
    graph = capture.attach(small_graph(), {"left": lambda _: {"trail": ["v2"]}})
    served = [call(graph)["trail"][0]]
    for percentage in (100.0, 0.0):
        provider.set(ROUTER_V2_ENABLED=True, ROUTER_V2_PERCENTAGE=percentage)
        flags.refresh()
        served.append(call(graph)["trail"][0])
    assert served == ["left", "v2", "left"]


def test_an_error_of_the_provider_keeps_the_last_answer(connect: Any) -> None:
    """A flag server that goes away takes nobody off V2, and puts nobody on it."""
    provider, flags = connect(ROUTER_V2_ENABLED=True, ROUTER_V2_PERCENTAGE=25.0)
    provider.broken = True
    flags.refresh()
    assert (flags.current.router_v2_enabled, flags.current.router_v2_percentage) == (True, 25.0)


def test_a_removed_flag_is_the_bases_again(connect: Any) -> None:
    """What the provider no longer has is what environment and file say."""
    provider, flags = connect(ROUTER_V2_ENABLED=True)
    provider.set()
    flags.refresh()
    assert flags.current.router_v2_enabled is False


def test_a_value_out_of_range_is_not_used(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The bad flag keeps its last value and is named in the log; the good ones beside it count."""
    provider, flags = connect(ROUTER_V2_PERCENTAGE=10.0)
    provider.set(ROUTER_V2_PERCENTAGE=150.0, ROUTER_V2_ENABLED=True)
    with caplog.at_level("WARNING", logger="otel_shadow"):
        flags.refresh()
    assert (flags.current.router_v2_percentage, flags.current.router_v2_enabled) == (10.0, True)
    assert "ROUTER_V2_PERCENTAGE: got 150.0" in caplog.text


def test_a_time_limit_of_the_providers_outranks_the_nodes_own(connect: Any, make_shadow_capture: MakeCapture) -> None:
    """Also where it says the very default: what counts is that the provider said it."""
    settings = {"nodes": {"left": {"timeout_ms": 100}}}
    seen = []
    for values in ({}, {"V2_TIMEOUT_MS": 5000}):
        capture = make_shadow_capture(settings, connect(**values)[1])
        capture.attach(small_graph(), {"left": left})
        execution = begin(capture.manager.nodes["small", "left"], {}, {})
        assert execution is not None
        seen.append(execution.assignment.timeout_s)
    assert seen == [0.1, 5.0]


def test_a_forked_worker_asks_for_itself(connect: Any) -> None:
    """A server that forks its workers after loading the application leaves each with flags that follow."""
    provider, flags = connect(poll_seconds=0.01)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # in the worker: the change is made and seen here alone
        provider.set(ROUTER_V2_SHADOW=False)
        try:
            until(lambda: not flags.current.router_v2_shadow)
            os.write(writing, b"followed")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    assert os.read(reading, 8) == b"followed"
