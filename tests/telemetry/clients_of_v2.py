"""An application whose node calls other services by instrumented clients; it prints the baggage that each call carried.

``python clients_of_v2.py '{"propagate": …, "sampled": …, "baggage": …}'``, in an environment that has the clients.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import grpc
import httpx
import requests
import urllib3
from opentelemetry import baggage, context, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

TOLD = json.loads(sys.argv[1])
HOSTS = {
    "loopback": "127.0.0.1",
    "no dot": "orders",
    "configured": "orders.shop.example",
    "vendor": "api.vendor.example",
    "like ours": "notshop.example",
}
SEEN: dict[str, dict[str, str]] = defaultdict(dict)
_getaddrinfo = socket.getaddrinfo


def here(host: Any, *args: Any, **kwargs: Any) -> Any:
    """Resolve every name to this machine."""
    return _getaddrinfo("127.0.0.1", *args, **kwargs)


class Service(BaseHTTPRequestHandler):
    """It keeps the baggage that it was sent: ``/VERSION/CLIENT/HOST``; ``/moved/…`` sends the client to the vendor."""

    def do_GET(self) -> None:
        _, version, client, host = self.path.split("/")
        if version == "moved":
            self.send_response(302)
            self.send_header("Location", f"http://{HOSTS['vendor']}:{PORT}/V2/{client}/{host}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        SEEN[f"{version} {client}"][host] = self.headers.get("baggage", "")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


SERVER = ThreadingHTTPServer(("127.0.0.1", 0), Service)
PORT = SERVER.server_port


class Calls(grpc.GenericRpcHandler):
    """The same over gRPC."""

    def service(self, details: Any) -> Any:
        _, version, host = details.method.split("/")[-1].split("_")
        sent = dict(details.invocation_metadata).get("baggage", "")
        SEEN[f"{version} grpc"][host] = sent if isinstance(sent, str) else sent.decode()
        return grpc.unary_unary_rpc_method_handler(lambda request, _: request)


def start_grpc() -> int:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Calls(),))
    port = int(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    KEPT.append(server)
    return port


KEPT: list[Any] = []
GRPC_PORT = start_grpc()


def by_httpx(url: str) -> None:
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        client.get(url)


def by_requests(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url)


def by_urllib3(url: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", url)


async def by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url):
        pass


async def by_async_httpx(url: str) -> None:
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
        await client.get(url)


CLIENTS: dict[str, Callable[[str], Any]] = {
    "httpx": by_httpx,
    "requests": by_requests,
    "urllib3": by_urllib3,
    "aiohttp": by_aiohttp,
    "async httpx": by_async_httpx,
}


async def every_call(version: str) -> None:
    for name, client in CLIENTS.items():
        for host, address in HOSTS.items():
            path = f"{version}/{name.replace(' ', '-')}/{host.replace(' ', '-')}"
            done = client(f"http://{address}:{PORT}/{path}")
            if done is not None:
                await done
        if version == "V2":
            done = client(f"http://127.0.0.1:{PORT}/moved/{name.replace(' ', '-')}/redirected")
            if done is not None:
                await done
    with grpc.insecure_channel(f"127.0.0.1:{GRPC_PORT}") as channel:
        channel.unary_unary(f"/case.Service/Call_{version}_loopback")(b"x", timeout=20)


def main() -> None:
    from langgraph.graph import END, START, StateGraph
    from typing_extensions import TypedDict

    from otel_shadow import ShadowConfig, ShadowIntegrationMiddleware, ShadowTrafficManager, is_shadow

    socket.getaddrinfo = here
    threading.Thread(target=SERVER.serve_forever, daemon=True).start()
    provider = TracerProvider(sampler=ALWAYS_ON if TOLD["sampled"] else ALWAYS_OFF)
    trace.set_tracer_provider(provider)
    for kind in (HTTPXClientInstrumentor, RequestsInstrumentor, URLLib3Instrumentor, AioHttpClientInstrumentor):
        kind().instrument()
    GrpcInstrumentorClient().instrument()
    privacy = {"propagate": TOLD["propagate"], "internal_hosts": ["shop.example"]}
    config = ShadowConfig.from_mapping(
        {"arms": {"holdout": 0.0}, "privacy": privacy, "flags": {"shadow": True, "timeout_ms": 60_000}}
    )
    manager = ShadowTrafficManager(config, tracer_provider=provider, log_file="/dev/null")

    class State(TypedDict, total=False):
        text: str

    def node(state: State) -> dict[str, Any]:
        asyncio.run(every_call("V2" if is_shadow() else "V1"))
        return {"text": "x"}

    graph = StateGraph(State).add_node("ask", node).add_edge(START, "ask").add_edge("ask", END).compile()
    ShadowIntegrationMiddleware({"ask": node}, manager).attach(graph)
    if TOLD["baggage"]:
        context.attach(baggage.set_baggage("tenant", "t1"))
    graph.invoke({"text": "x"})
    manager.flush(60)
    print(json.dumps(SEEN))


if __name__ == "__main__":
    main()
