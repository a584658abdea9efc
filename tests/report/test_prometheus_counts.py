"""Answers of whatever listens at the address of ``--prometheus``: one sentence each, and no secret in it."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command_line
import pytest

from otel_shadow._report.credentials import shown_address
from otel_shadow._report.prometheus_counts import show_counts
from otel_shadow.errors import EvidenceError


class Answers(http.server.BaseHTTPRequestHandler):
    """A server that gives one answer, and keeps the credentials that it was given."""

    code, body, location = 200, b"", ""
    seen: list[str | None]

    def do_GET(self) -> None:
        type(self).seen.append(self.headers.get("Authorization"))
        self.send_response(self.code)
        if self.location and self.path.startswith("/api"):
            self.send_header("Location", self.location)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    Answers.code, Answers.body, Answers.location, Answers.seen = 200, b"", "", []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def result(*rows: Any) -> bytes:
    return json.dumps({"status": "success", "data": {"result": list(rows)}}).encode()


NODE = {"job": "app", "shadow_graph_name": "g", "shadow_node_name": "ask"}


@pytest.mark.parametrize(("code", "body", "told"), [
    (200, result({"metric": NODE}), "what came has another form"),
    (200, result({"value": [1, "1"]}), "what came has another form"),
    (200, result({"metric": NODE, "value": [1, 10**400]}), "what came has another form"),
    (200, result({"metric": NODE, "value": None}), "what came has another form"),
    (200, b"[]", "what came has another form"),
    (200, b"<html>", "what came is no JSON"),
    (200, b"[" * 200_000, "what came is no JSON"),
    (200, b"\xff\xfe", "what came is no JSON"),
    (200, b" " * ((64 << 20) + 1), "more than 64 MiB"),
    (503, b"<html>", "Service Unavailable"),
    (422, b'{"status":"error","errorType":"execution","error":"too many samples"}', "execution: too many samples"),
])  # fmt: skip
def test_any_answer_is_one_sentence(server: Any, code: int, body: bytes, told: str) -> None:
    """What is wrong with it, by its own words where it has some."""
    Answers.code, Answers.body = code, body
    with pytest.raises(EvidenceError, match=told):
        show_counts(f"http://127.0.0.1:{server.server_port}")


def test_a_name_that_can_not_be_encoded_is_shown(server: Any, tmp_path: Path) -> None:
    """A lone surrogate in a label."""
    Answers.body = result({"metric": NODE | {"shadow_node_name": "\ud800ask"}, "value": [1, "0.5"]})
    done = command_line.run("verdict", "--prometheus", f"http://127.0.0.1:{server.server_port}", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert "\ufffdask" in done.stdout


def test_credentials_go_to_nobody_else(server: Any) -> None:
    """A redirection takes them nowhere."""
    Answers.code, Answers.location = 302, f"http://localhost:{server.server_port}/elsewhere"
    with pytest.raises(EvidenceError):
        show_counts(f"http://user:secret@127.0.0.1:{server.server_port}")
    assert Answers.seen == ["Basic dXNlcjpzZWNyZXQ=", None]


@pytest.mark.parametrize("url", [
    "http://u:SECRET@h:9090/p", "http://u:SECRET/x@h:9090/p", "http://u:SECRET?x@h:9090/p", "http://u:SECRET#x@h:9090/p",
    "http://h:9090/p?token=SECRET", "http://h:9090/p;SECRET", "http://h:9090/p#SECRET", "http://u:a@SECRET@h:9090/p",
])  # fmt: skip
def test_no_secret_of_the_address_is_shown(url: str) -> None:
    """Whatever was not escaped."""
    assert shown_address(url) == "http://h:9090/p"
