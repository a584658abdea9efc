"""The ways to send telemetry that ``docs/pipeline.md`` shows: each snippet runs as it stands, on the real thing.

Only endpoint and port are put in their place. What arrives is compared with what was served, and with the log.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_backend import Backend
from otlp_http import serving
from pages import ROOT, blocks
from real_servers import free_port
from waiting import until

PAGE = ROOT / "docs" / "pipeline.md"
pytestmark = pytest.mark.slow
SNIPPETS = {block.way: block.code for block in blocks() if block.way is not None and block.page == PAGE}
SCRIPTS = Path(sys.executable).parent
TURNS = 5
WORKFLOW = """
from langgraph.graph import END, START, MessagesState, StateGraph

def greeting(state: MessagesState):
    return {"messages": [("ai", "Hi, what is your name?")]}

graph = StateGraph(MessagesState).add_node(greeting).add_edge(START, "greeting").add_edge("greeting", END).compile()
"""
V2 = """
import time

def greeting(state):
    time.sleep(0.05)
    return {"messages": [("ai", "Hello! Who am I talking to?")]}
"""
APPLICATION = f"""
import sys
from myapp.workflow import graph

for number in range({TURNS}):
    graph.invoke({{"messages": [("user", "hello")]}}, {{"configurable": {{"thread_id": f"demo_{{number:03}}"}}}})
sys.stdin.read()
"""
WSGI = """
import os
from uuid import uuid4
from myapp.workflow import graph

def application(environ, start_response):
    graph.invoke({"messages": [("user", "hello")]}, {"configurable": {"thread_id": f"demo_{uuid4().hex[:8]}"}})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""
CELERY = """
broker_url = "filesystem://"
broker_transport_options = {"data_folder_in": "broker", "data_folder_out": "broker"}
"""
FILES = {
    "myapp/__init__.py": "", "myapp/workflow.py": WORKFLOW, "myapp/v2.py": V2, "app.py": APPLICATION, "wsgi.py": WSGI,
    "celeryconfig.py": CELERY, "shadow.toml": '[nodes.greeting]\nv2 = "myapp.v2:greeting"\n',
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: the application, and every file that the page shows."""
    shown = {name: code for name, code in SNIPPETS.items() if name.endswith(".py")}
    for name, text in (FILES | shown).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "broker").mkdir()
    return tmp_path


@pytest.fixture
def backend() -> Iterator[Backend]:
    with serving(Backend()) as server:
        yield server


def environment(folder: Path, backend: Backend | None = None) -> dict[str, str]:
    """The variables of a process that sends to ``backend``; nothing of this one's telemetry, and no holdout."""
    ours = ("OTEL_", "ROUTER_", "SHADOW_", "V2_TIMEOUT_MS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    own = {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "PATH": path, "ROUTER_V2_HOLDOUT": "0"}
    key = {"OTEL_SHADOW_HASH_KEY": "9f1c27b0d45e83a6f0b2c49d7e815a3c", "OTEL_SHADOW_LOG_FILE": "app.log"}
    sends = (
        {"OTEL_EXPORTER_OTLP_ENDPOINT": backend.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"} if backend else {}
    )
    return {**kept, **own, **key, **sends}


def shell(folder: Path, code: str, env: dict[str, str]) -> str:
    """Run a snippet of shell code to its end."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines(folder: Path) -> Counter[str]:
    """The events of the lines in the log."""
    log = folder / "app.log"
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return Counter(json.loads(line)["event"] for line in text.splitlines())


def complete(folder: Path, backend: Backend, served: int) -> None:
    """Each execution that was served has its line, its pair of spans and its event, and is counted, once."""
    assert lines(folder)["SHADOW_V2"] == served
    assert (backend.spans["v1.node"], backend.spans["v2.shadow"]) == (served, served)
    assert backend.events["SHADOW_V2"] == served
    assert sum(backend.counts("shadow.eligible").values()) == served


def test_every_snippet_of_the_page_is_run_here() -> None:
    """The names of the snippets, and that none stands on another page."""
    assert set(SNIPPETS) == {
        "collector", "vendor", "prometheus", "uwsgi", "handler.py", "telemetry.py", "gunicorn.conf.py", "uwsgi_app.py",
        "tasks.py", "clients.py",
    }  # fmt: skip
    assert len(SNIPPETS) == sum(block.way is not None for block in blocks())


def test_to_a_collector(folder: Path, backend: Backend) -> None:
    """Doctor and application: all signals arrive, durations as exponential histograms (gRPC: ``tests/integration``)."""
    code = SNIPPETS["collector"].replace("http://localhost:4317", backend.url)
    assert code.count(backend.url) == 1
    said = shell(folder, code, {**environment(folder), "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"})
    assert "no problem found" in said
    complete(folder, backend, TURNS)
    assert backend.counts("shadow.eligible", "service") == {"myapp": TURNS}
    assert backend.temporalities == {"AGGREGATION_TEMPORALITY_CUMULATIVE"}
    assert backend.kinds["shadow.node.duration"] == "exponential_histogram"


def test_to_a_vendor(folder: Path, backend: Backend) -> None:
    """Below the base's path, with the header decoded, as deltas."""
    code = SNIPPETS["vendor"].replace("https://otlp.vendor.example", backend.url)
    assert code.count(backend.url) == 1
    shell(folder, code, {**environment(folder), "VENDOR_KEY": "k123"})
    complete(folder, backend, TURNS)
    assert {path for path, _ in backend.requests} == {"/otlp/v1/traces", "/otlp/v1/metrics", "/otlp/v1/logs"}
    sent = [{name.lower(): value for name, value in headers.items()} for _, headers in backend.requests]
    assert {headers["authorization"] for headers in sent} == {"Bearer k123"}
    assert backend.temporalities == {"AGGREGATION_TEMPORALITY_DELTA"}


def test_pulled_by_prometheus(folder: Path) -> None:
    """The port answers with what was counted."""
    port = str(free_port())
    code = SNIPPETS["prometheus"].replace("9464", port)
    process = subprocess.Popen(["bash", "-euc", code], cwd=folder, env=environment(folder), stdin=subprocess.PIPE)

    def eligible() -> float:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
        except OSError:
            return 0.0
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith("shadow_eligible_total{")]
        return sum(map(float, found))

    try:
        until(lambda: eligible() == TURNS)
    finally:
        process.communicate(timeout=60)  # closes its standard input, at which it ends
    assert process.returncode == 0
    assert lines(folder)["SHADOW_V2"] == TURNS


def test_serverless(folder: Path, backend: Backend) -> None:
    """All is out when the handler returns: the process ends right then, as one that is frozen and never thawed."""
    turn = 'os.write(1, handler.handler({"text": "hello", "session": f"demo_{number:03}"}).encode())'
    code = f"import handler, os\nfor number in range(3): {turn}\nos._exit(0)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(folder, backend), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "Hi, what is your name?" * 3), done.stderr
    complete(folder, backend, 3)


def serve(folder: Path, command: list[str], backend: Backend, port: int) -> Counter[str]:
    """Ask a server until two workers have answered, and often; end it. How often each worker has answered."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment(folder, backend), stdout=log, stderr=log)
    workers: Counter[str] = Counter()

    def answered() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                workers[answer.read().decode()] += 1
        except OSError:  # not yet there
            assert not workers
        return len(workers) == 2 and sum(workers.values()) >= 20

    try:
        until(lambda: answered() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
    assert process.returncode == 0, (folder / "server.log").read_text()
    return workers


def test_gunicorn(folder: Path, backend: Backend) -> None:
    """Two workers, each under an identity of its own; their counts add up to what was served."""
    port = free_port()
    command = [str(SCRIPTS / "gunicorn"), "--workers", "2", "--bind", f"127.0.0.1:{port}", "wsgi:application"]
    workers = serve(folder, command, backend, port)
    complete(folder, backend, sum(workers.values()))
    assert sorted(backend.counts("shadow.eligible").values()) == sorted(workers.values())
    assert "" not in backend.counts("shadow.eligible")


def test_uwsgi(folder: Path, backend: Backend) -> None:
    """The same of uWSGI, which is compiled where it is installed: it is no part of the development environment."""
    if not (SCRIPTS / "uwsgi").exists():
        pytest.skip("uWSGI is not installed; `pip install uwsgi` has this test run")
    port = free_port()
    code = SNIPPETS["uwsgi"].replace("8000", str(port)).split()
    workers = serve(folder, [str(SCRIPTS / code[0]), *code[1:], "--virtualenv", sys.prefix], backend, port)
    complete(folder, backend, sum(workers.values()))
    assert sorted(backend.counts("shadow.eligible").values()) == sorted(workers.values())


def test_celery(folder: Path, backend: Backend) -> None:
    """Two workers of the prefork pool; what they counted since their last export arrives when they end."""
    env = environment(folder, backend)
    send = "import tasks\nfor number in range(10): tasks.greet.delay(f'demo_{number:03}', 'hello')"
    subprocess.run([sys.executable, "-c", send], cwd=folder, env={**env, "OTEL_SDK_DISABLED": "true"}, check=True)
    command = [str(SCRIPTS / "celery"), "-A", "tasks", "worker", "--concurrency", "2"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        until(lambda: lines(folder)["SHADOW_V2"] == 10 or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    finally:
        process.kill()
    assert process.returncode == 0, (folder / "server.log").read_text()
    complete(folder, backend, 10)
    assert "" not in backend.counts("shadow.eligible")


CLIENTS = """
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from opentelemetry import metrics
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry import trace

class Taker(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200), self.send_header("Content-Length", "0"), self.end_headers()
    def log_message(self, *_): pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
threading.Thread(target=server.serve_forever, daemon=True).start()
production = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
metrics.set_meter_provider(production)
spans = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
HTTPXClientInstrumentor().instrument()
import clients, httpx, sys
from langgraph.graph import END, START, MessagesState, StateGraph
from otel_shadow import ShadowConfig, ShadowTrafficManager, with_shadow_v2

of_v1 = httpx.Client()
of_v2 = clients.client_of_v2 if sys.argv[1] == "own" else of_v1
silent = {"privacy": {"suppress_instrumentation": sys.argv[1] == "silent"}}
manager = ShadowTrafficManager(ShadowConfig.from_mapping(silent))
url = f"http://127.0.0.1:{server.server_port}/"

def v2(state):
    return {"messages": [("ai", str(of_v2.get(url).status_code))]}

@with_shadow_v2(v2, manager=manager)
def greeting(state: MessagesState):
    return {"messages": [("ai", str(of_v1.get(url).status_code))]}

graph = StateGraph(MessagesState).add_node(greeting).add_edge(START, "greeting").add_edge("greeting", END).compile()
for number in range(5):
    graph.invoke({"messages": [("user", "hello")]}, {"configurable": {"thread_id": f"demo_{number:03}"}})
assert manager.flush(30)
production.force_flush(), clients.beside.force_flush()
print(sum(one.name == "GET" and one.attributes.get("shadow.version") == "v2" for one in spans.get_finished_spans()))
"""


@pytest.mark.parametrize(
    ("how", "counted", "marked"),
    [("shared", {"myapp": 10}, 5), ("silent", {"myapp": 5}, 0), ("own", {"myapp": 5, "myapp-shadow": 5}, 5)],
)
def test_metrics_of_v2s_calls(folder: Path, backend: Backend, how: str, counted: dict[str, int], marked: int) -> None:
    """What an instrumentation of HTTP clients counts of five turns in which V1 and V2 call once each."""
    env = environment(folder, backend) | {"OTEL_SEMCONV_STABILITY_OPT_IN": "http", "OTEL_SERVICE_NAME": "myapp"}
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS, how],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(marked)), done.stderr
    assert backend.counts("http.client.request.duration", "service") == counted
