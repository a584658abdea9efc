"""From a wheel, in a clean environment: command, light import, missing extras, auto-instrumentation, demo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
UV = [sys.executable, "-m", "uv"]
"""Resolves and installs as pip does, in a tenth of the time."""

APPLICATION = """
from typing import TypedDict
from langgraph.graph import START, StateGraph

class State(TypedDict, total=False):
    text: str
    answer: str

builder = StateGraph(State)
builder.add_node("answer", lambda state: {"answer": "one"})
builder.add_edge(START, "answer")
graph = builder.compile(name="app")
print(graph.invoke({"text": "hi"}, {"configurable": {"thread_id": "session_1"}})["answer"])
"""
V2 = 'def answer(state):\n    return {"answer": "two"}\n'
SHADOW = '[arms]\nholdout = 0.0\n[nodes.answer]\nv2 = "rewrite:answer"\n[nodes.answer.compare]\nfields = ["*"]\n'


class Installed:
    """A virtual environment with the wheel in it."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.wheel = folder, wheel
        done = subprocess.run([*UV, "venv", "-q", "-p", sys.executable, folder / "venv"], check=False)
        assert done.returncode == 0
        self.bin = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")

    def install(self, extra: str) -> None:
        """Install the wheel with an extra."""
        done = self._pip_install(f"{self.wheel}[{extra}]")
        if done.returncode:
            if "error sending request" in done.stderr or "dns error" in done.stderr:
                pytest.skip("the package index can't be reached")
            pytest.fail(done.stderr[-3000:])

    def borrow(self) -> None:
        """Install the wheel alone; what it depends on is this interpreter's, our own checkout excepted."""
        done = self._pip_install("--no-deps", "--no-index", str(self.wheel))
        assert done.returncode == 0, done.stderr
        (site,) = (self.folder / "venv").rglob("site-packages")
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    def _pip_install(self, *what: str) -> subprocess.CompletedProcess[str]:
        command = [*UV, "pip", "install", "-q", "--python", str(self.bin / "python"), *what]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=900)

    def run(self, *command: str, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, in a folder of its own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "OTEL_", "VIRTUAL_ENV"))}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]], cwd=self.folder, env={**kept, "PATH": path, **env},
            capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this checkout's wheel and source archive."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel of this checkout."""
    (found,) = built.glob("otel_shadow-*.whl")
    return found


@pytest.fixture(scope="module")
def otlp(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installed:
    """``pip install 'otel-shadow[otlp]'``, and nothing more."""
    made = Installed(tmp_path_factory.mktemp("otlp"), wheel)
    made.install("otlp")
    return made


def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    """Typed, with the demo's data and the page's templates, and without tests."""
    from zipfile import ZipFile

    names = ZipFile(wheel).namelist()
    for name in ("otel_shadow/py.typed", "otel_shadow/_demo/shadow.toml", "otel_shadow/_demo/conversations.jsonl"):
        assert name in names
    assert any(name.startswith("otel_shadow/_report/templates/") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_the_source_archive_holds_every_file(built: Path) -> None:
    """Who unpacks it can build and run all tests: it has whatever the repository has."""
    import tarfile

    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    (archive,) = built.glob("otel_shadow-*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    kept = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(kept.stdout.split("\0")) - {""} - names == set()


def test_the_command_is_there(otlp: Installed) -> None:
    """``otel-shadow --help`` and ``--version``."""
    told = otlp.run("otel-shadow", "--help")
    assert told.returncode == 0, told.stderr
    assert all(word in told.stdout for word in ("verdict", "demo"))
    assert "0." in otlp.run("otel-shadow", "--version").stdout


def test_the_import_is_light(otlp: Installed) -> None:
    """Neither LangGraph nor the analysis is imported by ``import otel_shadow``."""
    code = "import sys, json, otel_shadow; print(json.dumps([m for m in ('langgraph', 'numpy', 'duckdb', 'matplotlib', 'jinja2') if m in sys.modules]))"  # fmt: skip # noqa: E501
    done = otlp.run("python", "-W", "error", "-c", code)
    assert (done.returncode, json.loads(done.stdout or "null")) == (0, []), done.stderr


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("verdict", "app.log"), "analysis"),
        (("demo",), "demo"),
        (("dashboards", "--out", "out"), "dashboards"),
        (("calibrate", "app.log"), "calibration"),
        (("coverage", "app.log"), "calibration"),
    ],
)
def test_a_missing_extra_is_answered_with_its_pip_line(otlp: Installed, command: tuple[str, ...], extra: str) -> None:
    """The exact line that installs it, on standard error, exit code 2, no traceback."""
    (otlp.folder / "app.log").write_text("{}\n", encoding="utf-8")
    if otlp.run("otel-shadow", command[0], "--help").returncode:
        pytest.skip(f"there is no command {command[0]}")
    done = otlp.run("otel-shadow", *command)
    assert done.returncode == 2, done.stdout
    assert f"pip install 'otel-shadow[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_auto_instrumentation(otlp: Installed) -> None:
    """``opentelemetry-instrument python app.py`` with a ``shadow.toml``: V1's answer, and the pair on the console."""
    for name, text in (("app.py", APPLICATION), ("rewrite.py", V2), ("shadow.toml", SHADOW)):
        (otlp.folder / name).write_text(text, encoding="utf-8")
    done = otlp.run(
        "opentelemetry-instrument", "python", "app.py",
        OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="console", OTEL_LOGS_EXPORTER="none",
        OTEL_SERVICE_NAME="app", OTEL_SHADOW_LOG_FILE="shadow.log",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "one"
    assert '"name": "v1.node"' in done.stdout
    assert '"name": "v2.shadow"' in done.stdout
    assert '"shadow.executions"' in done.stdout
    lines = [json.loads(line) for line in (otlp.folder / "shadow.log").read_text(encoding="utf-8").splitlines()]
    assert [(line["event"], line.get("comparison"), line.get("diff_fields")) for line in lines] == [
        ("SHADOW_V2", "mismatch", ["answer"]),
        ("SHADOW_COMPARISON", "mismatch", ["answer"]),
        ("SHADOW_HEARTBEAT", None, None),
    ]


def test_auto_instrumentation_with_a_wrong_file_runs_v1(otlp: Installed) -> None:
    """A typing error in ``shadow.toml`` is logged once, and the application's answer comes."""
    (otlp.folder / "app.py").write_text(APPLICATION, encoding="utf-8")
    (otlp.folder / "wrong.toml").write_text("[nodez.answer]\n", encoding="utf-8")
    done = otlp.run(
        "opentelemetry-instrument", "python", "app.py", OTEL_SHADOW_CONFIG="wrong.toml", ROUTER_V2_PERCENTAGE="many",
        OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr
    assert done.stderr.count("otel-shadow is off") == 1
    assert "nodez: no such key" in done.stderr
    assert "ROUTER_V2_PERCENTAGE: got 'many'" in done.stderr


def test_the_demo_runs_from_the_wheel(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> None:
    """With the demo's dependencies there, ``otel-shadow demo`` needs no checkout: verdict, log and page."""
    made = Installed(tmp_path_factory.mktemp("demo"), wheel)
    made.borrow()
    where = made.run("python", "-c", "import otel_shadow; print(otel_shadow.__file__)").stdout
    assert where.startswith(str(made.folder))
    done = made.run("otel-shadow", "demo", "--lang", "en", "--out", "out", timeout=600)
    assert done.returncode == 0, done.stderr
    assert "WAIT" in done.stdout
    assert (made.folder / "out" / "app.log").stat().st_size > 0
    assert (made.folder / "out" / "report.html").stat().st_size > 10_000
