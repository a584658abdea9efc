"""Runs the assistant as users run theirs: ``opentelemetry-instrument``, environment variables, a ``shadow.toml``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant import HOLDOUT, SLOT_S

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIG = """
[session]
id = "configurable.thread_id"
message = "text"
steps = ["done"]

[arms]
holdout = {holdout}
slot_seconds = {slot_seconds}

[nodes.triage]
v2 = "assistant:triage_v2"
"""


@dataclass
class Application:
    """One process of the assistant.

    Arguments:
        folder: where its configuration and its log go.
        service: its ``service.name``.
        endpoint: where it sends OTLP; None sends nothing.
        protocol: ``grpc`` or ``http/protobuf``.
        plan: as the assistant's arguments.
    """

    folder: Path
    service: str
    endpoint: str | None
    plan: tuple[str, ...]
    protocol: str = "grpc"
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    peak_mib: float = 0.0
    """The most memory it ever had resident."""

    @property
    def instance(self) -> str:
        """Its ``service.instance.id``."""
        return self.folder.name

    def start(self) -> None:
        """Start it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        holdout = HOLDOUT if any(part.startswith("held=") for part in self.plan) else 0.0
        (self.folder / "shadow.toml").write_text(CONFIG.format(holdout=holdout, slot_seconds=SLOT_S))
        command = [sys.executable, str(HERE / "assistant.py"), *self.plan]
        self.process = subprocess.Popen(
            [str(Path(sys.executable).parent / "opentelemetry-instrument"), *command],
            cwd=self.folder, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def finish(self, within: float = 90.0) -> list[float]:
        """Wait for its end; the milliseconds each request took.

        Raises:
            AssertionError: it failed; its standard error is the message.
        """
        assert self.process is not None
        out, err = self.process.communicate(timeout=within)
        assert self.process.returncode == 0, err[-4000:]
        *times, peak = out.splitlines()
        self.peak_mib = float(peak.split()[1])
        return [float(line) for line in times]

    def run(self) -> list[float]:
        """Start it and wait for its end."""
        self.start()
        try:
            return self.finish()
        finally:
            self.end()

    def end(self) -> None:
        """Kill it, if it still runs."""
        if self.process is not None and self.process.stdout is not None and not self.process.stdout.closed:
            self.process.kill()
            self.process.communicate()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        every = [json.loads(line) for line in (self.folder / "app.log").read_text().splitlines()]
        return [line for line in every if line["event"] == event]

    def _environment(self) -> dict[str, str]:
        exporter = "otlp" if self.endpoint else "none"
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": os.pathsep.join((str(HERE), str(ROOT))),
            "OTEL_SERVICE_NAME": self.service,
            "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={self.instance}",
            "OTEL_TRACES_EXPORTER": exporter, "OTEL_METRICS_EXPORTER": exporter, "OTEL_LOGS_EXPORTER": exporter,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint or "", "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000", "OTEL_BSP_SCHEDULE_DELAY": "500", "OTEL_BLRP_SCHEDULE_DELAY": "500",
            "OTEL_SHADOW_LOG_FILE": str(self.folder / "app.log"), "OTEL_SHADOW_HASH_KEY": "integration tests",
            **self.env,
        }  # fmt: skip
