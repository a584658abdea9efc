"""Answers 429: told apart by what clients really raise, and a pause of the shadow whose V2 is told one."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError

import anthropic
import httpx
import openai
import pytest
import requests
from small_graphs import call, left, small_graph

from otel_shadow._runtime import background_log
from otel_shadow._runtime.limits import Limiter
from otel_shadow._runtime.rate_limit import is_rate_limited
from otel_shadow.config import LimitsTable
from otel_shadow.flags import FeatureFlags
from otel_shadow.record import Status
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]


class Provider(BaseHTTPRequestHandler):
    """Answers with the status that the path ends with."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(int(next(part for part in self.path.split("/") if part.isdigit())))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def with_openai(url: str) -> None:
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])


def with_anthropic(url: str) -> None:
    client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)
    client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "hello"}])


def with_httpx(url: str) -> None:
    httpx.post(url).raise_for_status()


def with_requests(url: str) -> None:
    requests.post(url, timeout=30).raise_for_status()


CLIENTS = (with_openai, with_anthropic, with_httpx, with_requests)


def raised_by(ask: Callable[[], Any]) -> BaseException:
    with pytest.raises(Exception) as caught:
        ask()
    return caught.value


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("status", "limited"), [(429, True), (400, False), (503, False)])
def test_what_clients_raise_says_what_was_answered(
    url: str, client: Callable[[str], None], status: int, limited: bool
) -> None:
    """The real packages, asking a real server."""
    assert is_rate_limited(raised_by(lambda: client(f"{url}/{status}"))) is limited


class CodedError(Exception):
    """An exception with what it is given, as Google's, Stripe's, aiohttp's and botocore's have."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class OfItsClassError(Exception):
    """Has its status in its class, as Google's and LangGraph's SDK."""

    code = 429


class InASlotError(Exception):
    """Has a response that keeps its status in a slot."""

    class Answer:
        """A response."""

        __slots__ = ("status",)

    def __init__(self) -> None:
        self.response = self.Answer()
        self.response.status = 429


class SlottedError(Exception):
    """Keeps its own status in a slot."""

    __slots__ = ("status_code",)

    def __init__(self) -> None:
        self.status_code = 429


class AnsweredError(Exception):
    """Has the answer in its class."""

    response = CodedError(status=429)


@pytest.mark.parametrize(
    ("error", "limited"),
    [
        (CodedError(code=429), True),
        (CodedError(http_status=429), True),
        (CodedError(status=429), True),
        (CodedError(status_code="429"), True),
        (CodedError(response={"ResponseMetadata": {"HTTPStatusCode": 429}}), True),
        (OfItsClassError(), True),
        (InASlotError(), True),
        (SlottedError(), True),
        (AnsweredError(), True),
        (HTTPError("http://x", 429, "no", Message(), io.BytesIO()), True),
        (ExceptionGroup("several", [ValueError(), ExceptionGroup("more", [CodedError(code=429)])]), True),
        (CodedError(status_code=True, code=4290, status="429 Too Many Requests"), False),
        (CodedError(response={"ResponseMetadata": None}), False),
        (CodedError(response={}), False),
        (CodedError(args=429), False),
        (ValueError(429), False),
        (None, False),
        (TimeoutError, False),
    ],
)
def test_other_ways_to_say_it(error: object, limited: bool) -> None:
    """In the exception, its class, its response, or a member of its group; a number elsewhere says nothing."""
    assert is_rate_limited(error) is limited


def test_causes_and_contexts_say_it_too() -> None:
    """``raise … from``, and an exception raised while another was handled; a circle ends."""

    def wrapped(explicit: bool) -> None:
        try:
            raise CodedError(status_code=429)
        except CodedError as error:
            if explicit:
                raise RuntimeError("the model failed") from error
            raise KeyError("while it was handled")  # noqa: B904 - that is the case

    assert is_rate_limited(raised_by(lambda: wrapped(True)))
    assert is_rate_limited(raised_by(lambda: wrapped(False)))
    circle, other = ValueError(), ValueError()
    circle.__cause__, other.__cause__ = other, circle
    assert not is_rate_limited(circle)


def test_no_code_of_the_exception_runs() -> None:
    """V1's exception is asked on V1's path: a property that hangs or fails would be V1's trouble."""
    asked: list[str] = []

    class Asking(Exception):
        @property
        def status_code(self) -> int:
            asked.append("status_code")
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return 429

        @property  # type: ignore[misc]
        def __class__(self) -> Any:
            asked.append("__class__")
            return ValueError

    assert not is_rate_limited(Asking())
    assert asked == []


# --- records ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [with_openai, with_httpx])
def test_each_version_that_is_told_429_is_recorded_so(
    make_shadow_capture: MakeCapture, url: str, client: Callable[[str], None]
) -> None:
    """V1 and V2 by themselves, on the record and on the line; the caller gets V1's own exception."""

    def asks(status: int) -> Callable[[Any], Any]:
        def node(state: Any) -> Any:
            client(f"{url}/{status}")

        return node

    for ours, theirs in ((429, 400), (400, 429)):
        capture = make_shadow_capture()
        graph = capture.attach(small_graph(asks(ours)), {"left": asks(theirs)})
        assert is_rate_limited(raised_by(lambda: call(graph))) is (ours == 429)  # noqa: B023 - called at once
        (record,) = capture.records
        assert record.v2 is not None
        assert (record.v1.rate_limited, record.v2.rate_limited) == (ours == 429, theirs == 429)
        assert (record.v1.status, record.v2.status) == (Status.ERROR, Status.ERROR)
        (line,) = capture.lines("SHADOW_V2")
        assert (line["v1_rate_limited"], line["v2_rate_limited"]) == (ours == 429, theirs == 429)


def test_a_baseline_says_it_of_v1(make_shadow_capture: MakeCapture, url: str) -> None:
    """The holdout is what V1's 429 are compared with."""

    def node(state: Any) -> Any:
        with_httpx(f"{url}/429")

    capture = make_shadow_capture({"arms": {"holdout": 1.0}})
    graph = capture.attach(small_graph(node), {"left": left})
    raised_by(lambda: call(graph))
    (line,) = capture.lines("SHADOW_BASELINE")
    assert (line["reason"], line["v1_rate_limited"]) == ("holdout", True)


def test_a_live_v2_that_is_told_429_is_recorded_so(make_shadow_capture: MakeCapture, url: str) -> None:
    """V1 answers, and the record says why V2 did not."""

    def v2(state: Any) -> Any:
        with_openai(f"{url}/429")

    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100.0)
    capture = make_shadow_capture({}, flags)
    assert call(capture.attach(small_graph(), {"left": v2}))["trail"] == ["left", "right"]
    record = capture.records[0]
    assert record.v2 is not None
    assert (record.served, record.fallback_reason, record.v2.rate_limited) == ("v1", "error", True)


def told_429_elsewhere(state: Any) -> Any:
    """A V2 for a worker process, whose exception can't be sent back."""
    response = httpx.Response(429, request=httpx.Request("POST", "http://x"))
    raise openai.RateLimitError("no", response=response, body=None)


def test_a_v2_in_a_worker_process_that_is_told_429_is_recorded_so(make_shadow_capture: MakeCapture) -> None:
    """What the worker found out comes back, though the exception does not."""
    capture = make_shadow_capture({"nodes": {"left": {"executor": "process", "timeout_ms": 60_000}}})
    call(capture.attach(small_graph(), {"left": told_429_elsewhere}))
    capture.settle(60)
    (record,) = (record for record in capture.records if record.node == "left")
    assert record.v2 is not None
    assert (record.v2.error_type, record.v2.rate_limited) == ("RateLimitError", True)


# --- the pause -------------------------------------------------------------------------------------------------------


class Clock:
    """Monotonic seconds, moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def paused_for(subject: Limiter, clock: Clock) -> float:
    """Seconds until the limiter lets a run start, in steps of half a second."""
    began = clock.now
    while subject.refuse() is not None:
        clock.now += 0.5
    return clock.now - began


def test_the_pause_doubles_while_429_is_told() -> None:
    """One run is tried after each pause; five minutes is the longest."""
    clock = Clock()
    subject = Limiter("left", LimitsTable(), clock)
    seen = []
    assert subject.refuse() is None
    for _ in range(11):
        subject.finished(Status.ERROR, 0, rate_limited=True)
        assert subject.refuse() == subject.reason == "rate_limited"
        seen.append(paused_for(subject, clock))
        assert subject.refuse() == "rate_limited", "one run is tried, and no other"
        clock.now += 4.0  # the client tries again by itself
    assert seen == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    subject.finished(Status.SUCCESS, 0)
    assert subject.refuse() is None
    assert subject.refuse() is None
    assert subject.reason is None
    clock.now += 301.0
    subject.finished(Status.ERROR, 0, rate_limited=True)
    assert paused_for(subject, clock) == 1, "after a calm as long as the last pause the first one is short again"


def test_runs_that_began_before_the_pause_do_not_lengthen_it() -> None:
    """Four at once are told 429: that is one pause of a second."""
    clock = Clock()
    subject = Limiter("left", LimitsTable(), clock)
    for _ in range(4):
        assert subject.refuse() is None
    for _ in range(3):
        subject.finished(Status.ERROR, 0, rate_limited=True)
        clock.now += 0.1
    subject.finished(Status.SUCCESS, 0)
    assert subject.refuse() == "rate_limited", "a success from before ends no pause"
    assert paused_for(subject, clock) == pytest.approx(1.0)


def test_a_429_soon_after_the_pause_doubles_the_next() -> None:
    """The run that was tried succeeded, and the next were told 429 again."""
    clock = Clock()
    subject = Limiter("left", LimitsTable(), clock)
    seen = []
    for _ in range(4):
        subject.finished(Status.ERROR, 0, rate_limited=True)
        seen.append(paused_for(subject, clock))
        subject.finished(Status.SUCCESS, 0)
    assert seen == [1, 2, 4, 8]


def test_429_is_nothing_to_the_breaker() -> None:
    """Any number of them opens it not, nor do they begin its count anew."""
    clock = Clock()
    subject = Limiter("left", LimitsTable(breaker_failures=2, breaker_reset_seconds=1000), clock)
    subject.finished(Status.ERROR, 0)
    for _ in range(5):
        subject.finished(Status.ERROR, 0, rate_limited=True)
        paused_for(subject, clock)
    assert subject.reason is None
    subject.finished(Status.ERROR, 0)
    assert subject.refuse() == "breaker"


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.TIMEOUT, Status.ERROR])
def test_a_tried_run_that_says_nothing_of_429_gives_the_chance_to_the_next(status: Status) -> None:
    """The pause does not last for ever."""
    clock = Clock()
    subject = Limiter("left", LimitsTable(), clock)
    subject.finished(Status.ERROR, 0, rate_limited=True)
    paused_for(subject, clock)
    subject.finished(status, 0)
    assert subject.refuse() is None


def test_each_pause_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """However many runs are refused meanwhile, and for whatever else."""
    clock = Clock()
    subject = Limiter("told", LimitsTable(), clock)
    with caplog.at_level("WARNING", "otel_shadow"):
        for _ in range(2):
            subject.finished(Status.ERROR, 0, rate_limited=True)
            for other in ("queue", "memory"):
                subject.refused(other)
                assert subject.refuse() == subject.reason == "rate_limited"
            paused_for(subject, clock)
            subject.finished(Status.SUCCESS, 0)
        background_log.settle(10)
    told = [record.getMessage() for record in caplog.records if "'told'" in record.getMessage()]
    assert told == ["shadow 'told': paused (rate limited)", "shadow 'told': running again"] * 2


def test_executions_meanwhile_are_shed_and_say_why(make_shadow_capture: MakeCapture, url: str) -> None:
    """V1 goes on; its executions are baselines ``shed:rate_limited`` until the pause is over."""

    def v2(state: Any) -> Any:
        with_httpx(f"{url}/429")

    capture = make_shadow_capture()
    graph = capture.attach(small_graph(), {"left": v2})
    clock = Clock()
    for node in capture.manager.nodes.values():
        node.limiter._clock = node.limiter._back_off._clock = clock
    for _ in range(3):
        assert call(graph)["trail"] == ["left", "right"]
        capture.settle()
    reasons = [(record.reason, record.v2 and str(record.v2.status)) for record in capture.records]
    assert reasons == [(None, "error"), ("shed:rate_limited", "shed"), ("shed:rate_limited", "shed")]
    clock.now += 1.0
    call(graph)
    assert [record.reason for record in capture.records][3:] == [None]
