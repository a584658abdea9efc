"""A program: V1 and V2 each with a chat model of one provider, whose package keeps one client for both.

``python chat_models.py langchain_openai`` prints what the users got and what the pairs came to.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

from small_graphs import left, small_graph
from waiting import PATIENCE_S

from otel_shadow.testing.capture import ShadowCapture


class Provider(BaseHTTPRequestHandler):
    """A stand-in for both providers of chat models; it keeps connections, as they do."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "input_tokens": 1, "output_tokens": 1}
        said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}
        answer = {
            "id": "m",
            "type": "message",
            "object": "chat.completion",
            "role": "assistant",
            "model": "m",
            "created": 1,
            "content": [{"type": "text", "text": "hello"}],
            "choices": [said],
            "usage": usage,
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def chat_model(package: str, url: str) -> Any:
    """A chat model of ``package`` that asks the stand-in at ``url``."""
    if package == "langchain_openai":
        return import_module(package).ChatOpenAI(model="m", base_url=f"{url}/v1", api_key="none", max_retries=0)
    return import_module(package).ChatAnthropic(model="m", base_url=url, api_key="none", max_retries=0)


def main(package: str) -> None:
    """Run forty requests, six at a time."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def with_a_model_of_its_own() -> Any:
        own = chat_model(package, url)

        async def node(state: Any) -> Any:
            assert (await own.ainvoke(state["text"])).content == "hello"
            return left(state)

        return node

    capture = ShadowCapture({"nodes": {"left": {"timeout_ms": 60_000}}, "arms": {"holdout": 0.0}})
    graph = capture.attach(small_graph(with_a_model_of_its_own()), {"left": with_a_model_of_its_own()})
    told: Counter[str] = Counter()

    async def users() -> None:
        waiting = iter(range(40))

        async def user() -> None:
            for number in waiting:
                config = {"configurable": {"thread_id": f"s_{number}"}}
                told[" ".join((await graph.ainvoke({"text": "x"}, config))["trail"])] += 1

        await asyncio.gather(*(user() for _ in range(6)))
        await asyncio.to_thread(capture.manager.flush, PATIENCE_S)

    asyncio.run(users())
    outcomes = [record.reason or (record.comparison and record.comparison.outcome) for record in capture.records]
    pairs = Counter(map(str, outcomes))
    print(json.dumps({"v1": told, "pairs": pairs}))
    sys.stdout.flush()
    os._exit(0)  # the clients of the packages stay open


if __name__ == "__main__":
    main(sys.argv[1])
