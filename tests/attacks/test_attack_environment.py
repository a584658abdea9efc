"""The interpreter and the environment as they may be: warnings as errors, development mode, no asserts, no SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPLICATION = """
import asyncio, sys

class NoSdk:
    def find_spec(self, name, path, target=None):
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(name, name=name)

if "no-sdk" in sys.argv:
    sys.meta_path.insert(0, NoSdk())
sys.path.insert(0, sys.argv[1])
from small_graphs import awaited, call, left, small_graph
from otel_shadow import ShadowIntegrationMiddleware
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig

async def hang(state):
    await asyncio.sleep(3600)

def fail(state):
    raise ValueError("Maria Silva")

manager = ShadowTrafficManager(ShadowConfig.from_mapping({"arms": {"holdout": 0.0}}), log_file=sys.argv[2])
graphs = [
    ShadowIntegrationMiddleware({"left": v2}, manager).attach(small_graph())
    for v2 in (left, awaited(left), fail, hang)
]
for graph in graphs:
    print(call(graph)["trail"])
manager.flush(30)

async def serve():  # the loop lasts as long as its shadow runs: one that ends cuts them off
    for graph in graphs:
        print((await graph.ainvoke({"text": "hello"}, {"configurable": {"thread_id": "session_2"}}))["trail"])
    await asyncio.to_thread(manager.flush, 30)

asyncio.run(serve())
manager.shutdown(10)
print(dict(manager.fault_barrier.counts))
"""

_OF_OTHERS = ["-W", "ignore:'asyncio.iscoroutinefunction' is deprecated:DeprecationWarning"]
"""What Python 3.14 says at the import of LangSmith."""


@pytest.mark.parametrize(
    ("options", "words", "variables"),
    [
        (["-W", "error", *_OF_OTHERS], [], {}),
        (["-X", "dev"], [], {"PYTHONASYNCIODEBUG": "1"}),
        (["-OO"], [], {}),
        (["-bb", "-W", "error", *_OF_OTHERS], [], {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
        ([], ["no-sdk"], {}),
        ([], [], {"OTEL_SDK_DISABLED": "true"}),
        (
            [], [],
            {"LANGSMITH_TRACING": "true", "LANGSMITH_ENDPOINT": "http://127.0.0.1:9", "LANGSMITH_API_KEY": "none"},
        ),
    ],
    ids=["warnings", "dev", "optimised", "bytes", "no-sdk", "disabled", "langsmith"],
)  # fmt: skip
def test_v1_is_served_and_every_pair_told(
    tmp_path: Path, options: list[str], words: list[str], variables: dict[str, str]
) -> None:
    """V1 answers each time; right, failing and hanging V2s are in the lines; nothing of ours broke or warned."""
    log = tmp_path / "app.log"
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(ROOT), "V2_TIMEOUT_MS": "500", **variables}
    command = [sys.executable, *options, "-c", APPLICATION, str(ROOT / "tests"), str(log), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['left', 'right']"] * 8 + ["{}"]
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert Counter(line["shadow_status"] for line in lines if line["event"] == "SHADOW_V2") == {
        "success": 4, "error": 2, "timeout": 2,
    }  # fmt: skip
    assert "otel_shadow" not in done.stderr
    if "LANGSMITH_TRACING" not in variables:
        assert "Maria" not in done.stderr
