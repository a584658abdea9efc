"""Trials of awaited V2s in a worker, and what outlives a restart of it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import awaited_v2s
import pytest
from small_graphs import left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow import ShadowConfig, ShadowTrafficManager
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow._runtime.executors.loop_guard import PausePlace
from otel_shadow._runtime.state_directory import StateDirectory
from otel_shadow.record import ShadowRecord


class Records:
    """A sink that keeps the records."""

    def __init__(self) -> None:
        self.seen: list[ShadowRecord] = []

    def emit(self, record: ShadowRecord) -> None:
        self.seen.append(record)

    def open(self, graph: str, node: str) -> None:
        """Nothing is opened."""

    def flush(self, timeout_s: float) -> None:
        """Nothing waits."""


Made = tuple[ShadowTrafficManager, Any, Records]


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Made]]:
    """A graph in production: its manager tries V2s, and keeps its state in a folder of the test's own."""
    monkeypatch.setenv("OTEL_SHADOW_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(awaited_v2s, "HERE", [])
    managers: list[ShadowTrafficManager] = []

    def make(v2: Any, build: str = "1", **table: Any) -> Made:
        from otel_shadow._runtime.sinks import Sink

        class KeptRecords(Records, Sink):
            pass

        records = KeptRecords()
        config = ShadowConfig.from_mapping(
            {"v2_build": build, "nodes": {"left": {"timeout_ms": 60_000, **table}}, "arms": {"holdout": 0.0}}
        )
        manager = ShadowTrafficManager(config, log_file=os.devnull, sinks=[records])
        managers.append(manager)

        async def v1(state: Any) -> Any:
            return left(state)

        graph = small_graph(v1)
        attach(graph, manager, lambda _, node: v2 if node == "left" else None)
        return manager, graph, records

    yield make
    for manager in managers:
        manager.shutdown(1.0)


def ask(made: Made) -> str | None:
    """One request on a loop that lives until its shadow run has ended; the reason why there was none."""
    manager, graph, records = made

    async def main() -> None:
        await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "s_1"}})
        assert await asyncio.to_thread(manager.flush, PATIENCE_S)

    asyncio.run(main())
    return records.seen[-1].reason


def settled(made: Made) -> str | None:
    """Ask until the trial is over."""
    end = time.monotonic() + PATIENCE_S
    while (reason := ask(made)) == "shed:trial" and time.monotonic() < end:
        time.sleep(0.05)
    return reason


def test_one_that_awaits_passes_and_runs_on_the_loop(production: Any) -> None:
    """The first execution is what it is tried on; nothing of it runs here before."""
    made = production("awaited_v2s:good")
    assert ask(made) == "shed:trial"
    assert awaited_v2s.HERE == []
    assert settled(made) is None
    assert awaited_v2s.HERE == ["good"]
    assert str(made[2].seen[-1].comparison.outcome) == "match"
    assert made[2].seen[-1].executor == "loop"


def test_a_module_level_function_is_known_by_its_path(production: Any) -> None:
    """Given as an object, it is tried like one that is named in the configuration."""
    made = production(awaited_v2s.good)
    assert ask(made) == "shed:trial"
    assert settled(made) is None


@pytest.mark.parametrize("name", ["sleeps", "hangs"])
def test_one_that_holds_its_loop_never_comes_to_production(
    production: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The place is named, and the remedy."""
    made = production(f"awaited_v2s:{name}", timeout_ms=1000)
    assert settled(made) == "shed:blocks_loop"
    assert awaited_v2s.HERE == []
    until(lambda: "paused (blocks the loop)" in caplog.text)
    assert "awaited_v2s:" in caplog.text
    assert 'executor = "process"' in caplog.text


def test_a_v2_that_fails_by_itself_passes(production: Any) -> None:
    """Its failures are evidence; a trial only looks after the loop."""
    made = production("awaited_v2s:fails")
    assert settled(made) is None
    assert made[2].seen[-1].v2.error_type == "ValueError"


def test_what_it_loads_at_its_first_call_is_loaded_here_before(production: Any) -> None:
    """In a thread, so that the first call on the loop does not import."""
    sys.modules.pop("sched", None)
    made = production("awaited_v2s:loads_late")
    ask(made)
    until(lambda: "sched" in sys.modules)
    assert settled(made) is None


def test_it_is_tried_once_per_build_and_host(production: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second process with the same build takes the first one's word; another build is tried again."""
    counted = tmp_path / "count"
    monkeypatch.setenv("COUNT_FILE", str(counted))
    assert settled(production("awaited_v2s:counts")) is None
    assert ask(production("awaited_v2s:counts")) is None
    workers = set(counted.read_text().split()) - {str(os.getpid())}
    assert len(workers) == 1
    assert settled(production("awaited_v2s:counts", build="2")) is None
    assert len(set(counted.read_text().split()) - {str(os.getpid())}) == 2


def test_a_closure_does_not_run_until_the_user_says_where(production: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One line at the start says what to write; written, V2 runs under the guard at once."""

    async def v2(state: Any) -> Any:
        return left(state)

    made = production(v2)
    until(lambda: "does not run in shadow" in caplog.text)
    assert '[nodes.left] executor = "loop"' in caplog.text
    assert ask(made) == "shed:untried"
    assert ask(production(v2, executor="loop")) is None


def test_a_pause_outlives_a_restart_and_is_reset_without_one(production: Any, tmp_path: Path) -> None:
    """The next process with this build begins paused; removing the file lets it run; another build runs anyway."""
    first = production("awaited_v2s:good", executor="loop")
    assert ask(first) is None
    first[0].nodes[("small", "left")].admission.guard.pause(PausePlace("awaited_v2s:20", 0.3))
    (kept,) = until(lambda: StateDirectory().entries())
    assert kept[1]["state"] == "paused"
    assert kept[1]["position"] == "awaited_v2s:20"
    second = production("awaited_v2s:good", executor="loop")
    assert ask(second) == "shed:blocks_loop"
    assert ask(production("awaited_v2s:good", build="2", executor="loop")) is None
    (tmp_path / "state" / kept[0]).unlink()
    until(lambda: ask(second) is None)


HANGS = """
import asyncio, os, sys, time
from small_graphs import left, small_graph
from otel_shadow import ShadowConfig, ShadowTrafficManager
from otel_shadow._langgraph.instrument.attach import attach

async def v1(state):
    return left(state)

async def hangs(state):
    print("runs", flush=True)
    time.sleep(3600)

async def main():
    nodes = {"left": {"executor": "loop"}}
    config = ShadowConfig.from_mapping({"v2_build": "1", "arms": {"holdout": 0.0}, "nodes": nodes})
    manager = ShadowTrafficManager(config, log_file=os.devnull)
    graph = small_graph(v1)
    attach(graph, manager, lambda _, node: hangs if node == "left" else None)
    await graph.ainvoke({"text": "x"}, {"configurable": {"thread_id": "s_1"}})
    while not manager.nodes[("small", "left")].admission.guard.is_paused:
        await asyncio.sleep(0.01)
    print("paused", flush=True)

asyncio.run(main())
"""


def test_a_v2_that_never_returns_hangs_one_process_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its step has no end at which it could be charged: the watchdog writes the pause while it lasts."""
    monkeypatch.setenv("OTEL_SHADOW_STATE_DIR", str(tmp_path / "state"))
    script = tmp_path / "hangs.py"
    script.write_text(textwrap.dedent(HANGS))
    command = [sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "runs\n"
        until(lambda: StateDirectory(tmp_path / "state").entries())
    finally:
        first.kill()
        first.communicate()
    again = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=True)
    assert again.stdout == "paused\n"


class TestStateDirectory:
    """The folder belongs to the user, and nothing in it can be planted by others."""

    def test_its_mode_and_content(self, tmp_path: Path) -> None:
        """0700 and 0600, whatever the umask; JSON that a person can read."""
        state = StateDirectory(tmp_path / "deep" / "state")
        assert state.write("a.json", {"state": "paused"})
        assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "deep" / "state" / "a.json").stat().st_mode) == 0o600
        assert json.loads((tmp_path / "deep" / "state" / "a.json").read_text()) == {"state": "paused"}
        assert state.read("a.json") == {"state": "paused"}

    def test_no_link_is_followed(self, tmp_path: Path) -> None:
        """Neither the folder nor a file in it may be one."""
        state = StateDirectory(tmp_path / "state")
        state.write("a.json", {"state": "paused"})
        (tmp_path / "secret.json").write_text('{"state": "passed"}')
        (tmp_path / "state" / "b.json").symlink_to(tmp_path / "secret.json")
        assert state.read("b.json") is None
        (tmp_path / "link").symlink_to(tmp_path / "state")
        assert StateDirectory(tmp_path / "link").read("a.json") is None
        assert not StateDirectory(tmp_path / "link").write("c.json", {})

    def test_a_link_in_the_place_of_a_draft_is_not_written_through(self, tmp_path: Path) -> None:
        """An attacker who guesses the name gets nothing overwritten."""
        state = StateDirectory(tmp_path / "state")
        state.write("a.json", {})
        victim = tmp_path / "victim"
        victim.write_text("mine")
        (tmp_path / "state" / f".a.json.{os.getpid()}").symlink_to(victim)
        state.write("a.json", {"state": "paused"})
        assert victim.read_text() == "mine"

    def test_a_folder_that_others_may_enter_is_not_used(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """It is said once, with the remedy; what must outlive a restart stays in memory."""
        (tmp_path / "state").mkdir(mode=0o755)
        state = StateDirectory(tmp_path / "state")
        assert not state.write("a.json", {})
        assert not state.write("a.json", {})
        told = "others may enter it); what must outlive a restart is kept in memory only: set OTEL_SHADOW_STATE_DIR"
        until(lambda: told in caplog.text)  # the log is written in the background: what another test said may follow
        assert caplog.text.count(told) == 1

    @pytest.mark.parametrize("content", ["", "[]", "{", "null", '"paused"'])
    def test_a_broken_file_is_none(self, tmp_path: Path, content: str) -> None:
        """Whatever lies there, nothing is raised."""
        state = StateDirectory(tmp_path / "state")
        state.write("a.json", {})
        (tmp_path / "state" / "a.json").write_text(content)
        assert state.read("a.json") is None
