"""Code on the README's and the documentation's pages runs as it stands; settings are read by what they are for."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, Block, blocks

from otel_shadow import ShadowConfig
from otel_shadow._demo.bundled import CONVERSATIONS

PYTHON, SHELL, TOML = ("python",), ("bash", "sh", "console"), ("toml",)
NO_CODE = {"", "text"}
"""What a program prints, and drawings; the comment above a ``text`` names the test that holds it, or the command."""
GRAPH = """
from langgraph.graph import END, START, MessagesState, StateGraph

def greeting(state: MessagesState):
    return {"messages": [("ai", "Hi, what is your name?")]}

graph = StateGraph(MessagesState).add_node(greeting).add_edge(START, "greeting").add_edge("greeting", END).compile()
"""
V2 = 'def greeting(state):\n    return {"messages": [("ai", "Hello! Who am I talking to?")]}\n'
APPLICATION = """
from myapp.workflow import graph

graph.invoke({"messages": [("user", "hello")]}, {"configurable": {"thread_id": "demo_001"}})
"""
PIP = f"""
import re, sys, tomllib
extras = tomllib.load(open({str(ROOT / "pyproject.toml")!r}, "rb"))["project"]["optional-dependencies"]
(wanted,) = re.findall(r"otel-shadow\\[(.+)\\]", " ".join(sys.argv))
assert set(wanted.split(",")) <= set(extras), wanted
"""
COMMANDS = {
    "bin/python": 'exec "{python}" "$@"',
    "bin/otel-shadow": 'exec "{python}" -m otel_shadow.cli "$@"',
    "bin/opentelemetry-instrument": 'exec "{scripts}/opentelemetry-instrument" "$@"',
    "deploy.sh": "exit 0",
    # What would take long, or run these tests in themselves, is parsed by the command itself, and goes no further.
    "bin/pip": 'exec "{python}" "{work}/pip.py" "$@"',
    "bin/make": 'PATH="$OLD_PATH" exec make -n -C "{root}" "$@"',
    ".venv/bin/python": 'cd "{root}" && ls -d $(printf "%s\\n" "$@" | grep ^tests/) && exec "{python}" "$@" --version',
    ".venv/bin/lint-imports": 'exec "{scripts}/lint-imports" "$@" --help',
    ".venv/bench/bin/python": 'cd "{root}" && exec "{python}" "$@" --help',
}
DONE = {0, 3}
"""Exit codes of a block: done, or a verdict that waits for more evidence."""


def named(*languages: str) -> Any:
    found = [block for block in blocks(*languages) if block.excuse is None and block.way is None]
    return pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in found])


def test_every_block_is_run_read_or_excused() -> None:
    """A block is of a kind that is tested below, or says above itself why it can't run; the excused are counted."""
    known = {*PYTHON, *SHELL, *TOML, *NO_CODE}
    assert [block.name for block in blocks() if block.language not in known] == []
    assert [block.page.name for block in blocks() if block.excuse is not None] == ["loop.md"]
    assert [block.name for block in blocks("text") if not block.comment] == []
    assert len(list(blocks(*PYTHON, *SHELL, *TOML))) > 20


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: an application under the names that the pages use, conversations, and logs to judge."""
    work = tmp_path_factory.mktemp("work")
    for package in ("myapp", "meuapp", "my_app"):
        (work / package).mkdir()
        for name, text in (("__init__", ""), ("workflow", GRAPH), ("v2", V2), ("tracing", "def configure(): ...\n")):
            (work / package / f"{name}.py").write_text(text, encoding="utf-8")
    (work / "app.py").write_text(APPLICATION, encoding="utf-8")
    (work / "pip.py").write_text(PIP, encoding="utf-8")
    lines = CONVERSATIONS.read_text(encoding="utf-8").splitlines(keepends=True)
    for name in ("conversations", "messages", "dialogues_en", "utterances_en", "utterances_pt"):
        (work / f"{name}.jsonl").write_text("".join(lines[:6]), encoding="utf-8")
    commands(work)
    return work


def commands(work: Path) -> None:
    """Write what the blocks call: into ``bin``, the first folder of their PATH, or where they look for it."""
    values = {"python": sys.executable, "scripts": Path(sys.executable).parent, "work": work, "root": ROOT}
    for name, body in COMMANDS.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(f"#!/bin/bash\n{body.format(**values)}\n", encoding="utf-8")
        (work / name).chmod(0o755)


@pytest.fixture(scope="module")
def evidence(work: Path) -> Path:
    """The log of a run, under each of the names that the pages read."""
    shell(work, "otel-shadow demo --out played --conversations conversations.jsonl")
    (work / "logs").mkdir()
    log = work / "played" / "app.log"
    for name in ("app.log", "logs/app.log", "logs/app-1.log", "tuesday.log"):
        shutil.copy(log, work / name)
    (work / "old.log.gz").write_bytes(gzip.compress(log.read_bytes()))
    return work


def shell(work: Path, code: str) -> None:
    """Run shell code in the user's folder; nothing is exported, for no Collector listens."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ROUTER_"))}
    off = dict.fromkeys(("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none")
    path = {"OLD_PATH": os.environ["PATH"], "PATH": f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    env = {**kept, **off, **path, "PYTHONPATH": f"{ROOT}{os.pathsep}{work}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        cwd=work,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in DONE, done.stdout + done.stderr


@named(*SHELL)
def test_commands_run(evidence: Path, block: Block) -> None:
    """Each command line on a page, in the folder of a user."""
    if "jq" in block.code and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    settings = evidence / "shadow.toml"
    settings.unlink(missing_ok=True)
    if block.settings:
        settings.write_text(block.settings, encoding="utf-8")
    shell(evidence, block.code)


@pytest.fixture(scope="module")
def namespaces() -> dict[Path, dict[str, Any]]:
    """The names of each page: a later block goes on where an earlier one ended."""
    return {}


@pytest.fixture
def in_users_folder(evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(evidence)


@named(*PYTHON)
@pytest.mark.usefixtures("in_users_folder")
def test_python_runs(namespaces: dict[Path, dict[str, Any]], block: Block) -> None:
    """Each block, with its own assertions; ``at`` is the moment that the text speaks of."""
    names = namespaces.setdefault(block.page, {"at": datetime(2027, 1, 1, tzinfo=UTC), "__name__": "page"})
    exec(compile(block.code, block.name, "exec"), names)


@named(*TOML)
def test_settings_are_read(tmp_path: Path, block: Block) -> None:
    """``shadow.toml`` is accepted as a whole; what ``calibrate`` writes, by the two that load it."""
    path = tmp_path / "shadow.toml"
    path.write_text(block.code, encoding="utf-8")
    if "calibration" in tomllib.loads(block.code):
        from otel_shadow import FeatureFlags
        from otel_shadow._demo.v2.thresholds import Thresholds

        assert Thresholds.from_file(path)
        assert FeatureFlags.from_file(path).v2_timeout_ms == 13
    else:
        assert ShadowConfig.load(path) != ShadowConfig()
