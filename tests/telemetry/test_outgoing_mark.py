"""Which of V2's requests carry the mark: ``[privacy] propagate``, with the API alone and by real clients."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import ROOT, python_with
from opentelemetry import baggage, context, propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind
from small_graphs import State, call, left, small_graph

from otel_shadow._runtime.shadow_context import is_shadow
from otel_shadow.testing.capture import ShadowCapture

MakeCapture = Callable[..., ShadowCapture]
HERE = Path(__file__).parent
CLIENTS = [
    "aiohttp", "grpcio", "httpx", "requests", "urllib3", "opentelemetry-instrumentation-aiohttp-client",
    "opentelemetry-instrumentation-grpc", "opentelemetry-instrumentation-httpx",
    "opentelemetry-instrumentation-requests", "opentelemetry-instrumentation-urllib3",
]  # fmt: skip
INTERNAL = [
    {"server.address": "127.0.0.1"},
    {"http.url": "http://10.1.2.3:8080/path"},
    {"url.full": "https://[fd00::1]/path"},
    {"url.full": "http://localhost/"},
    {"http.url": "http://orders:8080/"},
    {"server.address": "orders.shop.svc.cluster.local."},
    {"net.peer.name": "db.internal"},
    {"http.url": "https://user@api.shop.example/x", "server.address": "api.shop.example"},
    {"server.address": "Shop.Example"},
]
OTHERS = [
    {},
    {"http.method": "GET"},
    {"server.address": "8.8.8.8"},
    {"http.url": "https://api.vendor.example/v1"},
    {"http.url": "http://orders@api.vendor.example/"},
    {"http.url": "http://api.vendor.example\\@orders/"},
    {"http.url": "http://orders/", "server.address": "api.vendor.example"},
    {"server.address": "notshop.example"},
    {"server.address": "shop.example.vendor.example"},
    {"server.address": "134744072"},
    {"server.address": "0x08080808"},
    {"server.address": "[2001:4860:4860::8888]"},
]


def sent(make: MakeCapture, privacy: dict[str, Any], attributes: dict[str, Any], **more: Any) -> dict[str, str]:
    """The baggage that each version's call carries: of a client that starts its span with ``attributes``."""
    tracer = TracerProvider(sampler=more.pop("sampler", ALWAYS_ON), shutdown_on_exit=False).get_tracer("client")
    headers: dict[str, dict[str, str]] = {"V1": {}, "V2": {}}

    def node(state: State) -> dict[str, Any]:
        with tracer.start_as_current_span("GET", kind=more.get("kind", SpanKind.CLIENT), attributes=attributes):
            propagate.inject(headers["V2" if is_shadow() else "V1"])
        return left(state)

    capture = make({"privacy": privacy})
    capture.attach(graph := small_graph(node), {"left": node})
    token = context.attach(baggage.set_baggage("tenant", "t1"))
    try:
        call(graph)
    finally:
        context.detach(token)
    capture.settle()
    return {version: found.get("baggage", "") for version, found in headers.items()}


WITH, WITHOUT = "tenant=t1,shadow.mode=v2_shadow", "tenant=t1"


@pytest.mark.parametrize("attributes", [*INTERNAL, *OTHERS], ids=str)
def test_the_mark_goes_to_internal_hosts_alone(make_shadow_capture: MakeCapture, attributes: dict[str, Any]) -> None:
    """By all that a client's span says of the host; where that says nothing, or two things, the mark stays."""
    privacy = {"internal_hosts": ["shop.example"]}
    expected = WITH if attributes in INTERNAL else WITHOUT
    assert sent(make_shadow_capture, privacy, attributes) == {"V1": WITHOUT, "V2": expected}


@pytest.mark.parametrize(("propagate", "expected"), [("none", WITHOUT), ("internal hosts", WITH), ("all", WITH)])
def test_the_mark_leaves_sampled_or_not(make_shadow_capture: MakeCapture, propagate: str, expected: str) -> None:
    """A span that is dropped at the head has no attributes, and its request is V2's all the same."""
    for sampler in (ALWAYS_ON, ALWAYS_OFF):
        headers = sent(make_shadow_capture, {"propagate": propagate}, {"server.address": "orders"}, sampler=sampler)
        assert headers == {"V1": WITHOUT, "V2": expected}


def test_what_is_no_client_sends_no_mark(make_shadow_capture: MakeCapture) -> None:
    """A span of V2's own that names a host tells nothing of a request below it."""
    headers = sent(make_shadow_capture, {}, {"server.address": "orders"}, kind=SpanKind.INTERNAL)
    assert headers == {"V1": WITHOUT, "V2": WITHOUT}


@pytest.mark.parametrize("propagate", ["none", "internal hosts", "all"])
def test_v2_sends_no_mark_of_somebody_elses(make_shadow_capture: MakeCapture, propagate: str) -> None:
    """The mark that production was sent goes on as the application's propagators send it; from V2, as configured."""
    token = context.attach(baggage.set_baggage("shadow.mode", "v2_shadow"))
    try:
        headers = sent(make_shadow_capture, {"propagate": propagate}, {"server.address": "api.vendor.example"})
    finally:
        context.detach(token)
    mark = "shadow.mode=v2_shadow,tenant=t1"
    assert headers == {"V1": mark, "V2": mark if propagate == "all" else WITHOUT}


def test_the_mark_does_not_stay_in_headers_that_are_sent_on(make_shadow_capture: MakeCapture) -> None:
    """A client that follows a redirect may send the headers of the first request again."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("client")
    headers = {"baggage": "own=1"}
    told: list[str | None] = []

    def v2(state: State) -> dict[str, Any]:
        for host in ("orders", "api.vendor.example"):
            with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"server.address": host}):
                propagate.inject(headers)
            told.append(headers.get("baggage"))
        return left(state)

    capture = make_shadow_capture()
    call(capture.attach(small_graph(), {"left": v2}))
    capture.settle()
    assert told == ["shadow.mode=v2_shadow", None]


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of an environment that has the clients."""
    return python_with("clients", CLIENTS)


@pytest.mark.slow
@pytest.mark.parametrize("has_baggage", [False, True], ids=["bare", "with baggage"])
@pytest.mark.parametrize(
    ("mode", "sampled"), [("none", True), ("internal hosts", True), ("internal hosts", False), ("all", True)]
)
def test_real_clients(python: Path, mode: str, sampled: bool, has_baggage: bool) -> None:
    """httpx, requests, urllib3 and aiohttp with their instrumentations; gRPC's does not say whom it calls."""
    told = json.dumps({"propagate": mode, "sampled": sampled, "baggage": has_baggage})
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [str(python), str(HERE / "clients_of_v2.py"), told]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    bare, mark = ("tenant=t1", "tenant=t1,shadow.mode=v2_shadow") if has_baggage else ("", "shadow.mode=v2_shadow")
    internal, others = (bare if mode == "none" else mark), (mark if mode == "all" else bare)
    hosts = {
        "loopback": internal, "no-dot": internal, "configured": internal, "vendor": others, "like-ours": others,
    }  # fmt: skip
    for client in ("httpx", "async-httpx", "requests", "urllib3", "aiohttp"):
        assert seen[f"V1 {client}"] == dict.fromkeys(hosts, bare)
        again = internal if client in ("requests", "aiohttp") else others  # they inject once, before any redirect
        assert seen[f"V2 {client}"] == {**hosts, "redirected": again}
    assert (seen["V1 grpc"], seen["V2 grpc"]) == ({"loopback": bare}, {"loopback": others})
