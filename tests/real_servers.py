"""Real servers on free loopback ports: started as processes with a temporary folder, ended by the process started."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from waiting import until

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "servers" / "build.sh"
KEEP_ALL = {"COLLECTOR_KEEP_PERCENT": "100", "COLLECTOR_WAIT_AFTER_ROOT": "2s", "COLLECTOR_WAIT": "6s"}
"""Exemplars and single pairs are asked for by their ids, so nothing may be sampled away."""


def binary(folder: str, name: str) -> str:
    """Path of a built server.

    Where it is missing, the test is skipped with the command that brings it; in CI that is a failure.
    """
    where = subprocess.run(["bash", BUILD, "--where", folder], check=True, capture_output=True, text=True)
    path = Path(where.stdout.strip()) / name
    if path.is_file():
        return str(path)
    reason = f"{name} is not built; `make servers` builds it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str, **parameters: str) -> Any:
    """The JSON at ``url``."""
    full = f"{url}?{urllib.parse.urlencode(parameters)}" if parameters else url
    with urllib.request.urlopen(full, timeout=30) as answer:
        return json.load(answer)


class Process:
    """One server. ``ready`` is a URL that answers 200 once it serves."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str], ready: str) -> None:
        self.command, self.folder, self.ready = list(command), folder, ready
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), **env}
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it and wait until it serves."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.env, stdout=log, stderr=log)
        until(lambda: self._serves() or self.process.poll() is not None)
        if self.process.poll() is not None:
            pytest.fail(f"{self.command[0]} did not start:\n{self.log()[-3000:]}")

    def stop(self) -> None:
        """End it in good order (it flushes)."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)

    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "server.log").read_text(errors="replace")

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(self.ready, timeout=2):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


class Prometheus(Process):
    """Prometheus on the repository's configuration and rules."""

    def __init__(self, folder: Path, config: Path = ROOT / "collector" / "prometheus.yml") -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.otlp = f"{self.url}/api/v1/otlp"
        command = [
            binary("prometheus", "prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}", "--web.enable-otlp-receiver",
            "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
        ]  # fmt: skip
        super().__init__(command, folder, {}, f"{self.url}/-/ready")

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The instant vector of ``expression``, now or ``at`` (seconds since 1970)."""
        moment = {} if at is None else {"time": str(at)}
        result = get(f"{self.url}/api/v1/query", query=expression, **moment)["data"]["result"]
        return list(result)

    def value(self, expression: str, at: float | None = None) -> float | None:
        """The one number of ``expression``, or None while there is none."""
        found = self.query(expression, at)
        assert len(found) < 2, f"{expression}: {found}"
        return float(found[0]["value"][1]) if found else None

    def reload(self) -> None:
        """Have the configuration and the rules read again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def groups(self) -> list[dict[str, Any]]:
        """The groups of rules, and when each was evaluated last."""
        return list(get(f"{self.url}/api/v1/rules")["data"]["groups"])

    def exemplars(self, selector: str) -> list[dict[str, Any]]:
        """Exemplars of the last hour."""
        now = time.time()
        found = get(f"{self.url}/api/v1/query_exemplars", query=selector, start=str(now - 3600), end=str(now + 60))
        return [exemplar for series in found["data"] for exemplar in series["exemplars"]]


class Jaeger(Process):
    """Jaeger on the repository's configuration."""

    def __init__(self, folder: Path) -> None:
        http, grpc, query, health = (free_port() for _ in range(4))
        self.url, self.otlp = f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}"
        env = {
            "JAEGER_HTTP_ENDPOINT": f"127.0.0.1:{http}", "JAEGER_GRPC_ENDPOINT": self.otlp,
            "JAEGER_QUERY_GRPC_ENDPOINT": f"127.0.0.1:{query}", "JAEGER_HEALTH_ENDPOINT": f"127.0.0.1:{health}",
        }  # fmt: skip
        command = [binary("jaeger", "jaeger"), "--config", str(ROOT / "collector" / "jaeger.yaml")]
        super().__init__(command, folder, env, f"http://127.0.0.1:{health}/status")

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        """The spans of a trace as OTLP JSON (types, links and all); empty while it is not there."""
        try:
            found = get(f"{self.url}/api/v3/traces/{trace_id}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return [
            span
            for resource in found["result"]["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]


class Collector(Process):
    """The Collector on the repository's configuration, which ``docker-compose.yml`` mounts too."""

    def __init__(self, folder: Path, prometheus: str, jaeger: str, settings: Mapping[str, str]) -> None:
        grpc, http, health = (free_port() for _ in range(3))
        self.grpc, self.http = f"http://127.0.0.1:{grpc}", f"http://127.0.0.1:{http}"
        self.evidence = folder / "evidence" / "shadow.jsonl"
        env = {
            "COLLECTOR_GRPC_ENDPOINT": f"127.0.0.1:{grpc}", "COLLECTOR_HTTP_ENDPOINT": f"127.0.0.1:{http}",
            "COLLECTOR_HEALTH_ENDPOINT": f"127.0.0.1:{health}", "COLLECTOR_BATCH_TIMEOUT": "200ms",
            "PROMETHEUS_OTLP_URL": prometheus, "JAEGER_OTLP_ENDPOINT": jaeger,
            # No Tempo runs here: its exporter retries against a closed port, as in a Tempo outage.
            "TEMPO_OTLP_ENDPOINT": f"127.0.0.1:{free_port()}",
            "EVIDENCE_FILE": str(self.evidence), **settings,
        }  # fmt: skip
        command = [binary("collector", "collector"), "--config", str(ROOT / "collector" / "config.yaml")]
        super().__init__(command, folder, env, f"http://127.0.0.1:{health}/")
