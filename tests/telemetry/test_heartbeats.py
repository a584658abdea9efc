"""Numbers and heartbeats: whatever became of a record, a reader of the log can count that it is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_graphs import call, left, small_graph
from waiting import PATIENCE_S, until

from otel_shadow import FeatureFlags, semconv
from otel_shadow._runtime.assignment import Assignments
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.sinks import Sink
from otel_shadow.line_code import verifies
from otel_shadow.log_line import ORDER
from otel_shadow.record import Heartbeat, ShadowRecord
from otel_shadow.testing.capture import HASH_KEY, ShadowCapture

TESTS = Path(__file__).resolve().parents[1]
MakeCapture = Callable[..., ShadowCapture]
Line = dict[str, Any]
SECRET = "b8e2f4a6c0d1e3f5"
KEY = Redactor(SECRET).verify_key or b""


def read(log: Path) -> list[Line]:
    return [json.loads(line) for line in log.read_bytes().splitlines()]


def beats(lines: list[Line], **having: Any) -> list[Line]:
    found = [line for line in lines if line["event"] == "SHADOW_HEARTBEAT"]
    return [line for line in found if all(line[name] == value for name, value in having.items())]


def numbers(lines: list[Line], event: str, **having: Any) -> list[int]:
    """The sequence of each line of an event, in the order of the file."""
    found = [line for line in lines if line["event"] == event]
    return [line["sequence"] for line in found if all(line[name] == value for name, value in having.items())]


def attached(capture: ShadowCapture, v2: Any = left) -> Any:
    return capture.attach(small_graph(), {"left": v2})


def beat_now(capture: ShadowCapture) -> None:
    """Have the thread of the records come to its next heartbeat, after all that was recorded, and wait for it."""
    assert capture.manager.flush(PATIENCE_S)
    queue = capture.manager.record_queue
    queue._next_beat_s = 0.0

    def has_beaten() -> bool:
        if queue._thread is None:  # not yet begun, or ended by a shutdown
            queue.put(lambda: None)
        return queue._next_beat_s > 0.0

    until(has_beaten)
    assert capture.manager.flush(PATIENCE_S)


class TestNumbers:
    """Each line of a node and event has the next number of its process."""

    def test_they_count_by_node_and_event_and_a_pairs_lines_share_one(self, make_shadow_capture: MakeCapture) -> None:
        """Two nodes, pairs and baselines: each begins at one and leaves none out."""
        capture = make_shadow_capture({"nodes": {"left": {"sample": 1.0}}})
        graph = capture.attach(small_graph(), {"left": left, "right": lambda state: {"trail": ["right"]}})
        for _ in range(3):
            call(graph)
        off = make_shadow_capture({"nodes": {"left": {"sample": 0.0}}})
        for _ in range(2):
            call(attached(off))
        lines = capture.lines(still=False) and read(capture.log_file)
        for node in ("left", "right"):
            assert numbers(lines, "SHADOW_V2", node=node) == [1, 2, 3]
            assert numbers(lines, "SHADOW_COMPARISON", node=node) == [1, 2, 3]
        assert numbers(off.lines(), "SHADOW_BASELINE") == [1, 2]
        (process,) = {line["process"] for line in lines}
        assert process != off.lines(still=False)[0]["process"], "two managers of a process count by themselves"
        assert len(process) == 16

    def test_all_sinks_get_the_same_number(self, make_shadow_capture: MakeCapture) -> None:
        """A record has its number before the first sink sees it; log events are the file's lines, heartbeats too."""
        capture = make_shadow_capture()
        graph = attached(capture)
        call(graph)
        call(graph)
        beat_now(capture)
        bodies = [record.log_record.body for record in capture._signals._events.seen]
        assert bodies == capture.log_bytes().decode().splitlines()
        assert [json.loads(body)["event"] for body in bodies].count("SHADOW_HEARTBEAT") == 1
        assert sorted(record.sequence or 0 for record in capture.records) == [1, 2]
        (event,) = [item.log_record for item in capture._signals._events.seen if "HEARTBEAT" in item.log_record.body]
        assert (event.event_name, event.trace_id) == ("SHADOW_HEARTBEAT", 0)
        assert event.attributes == {"shadow.graph.name": "small", "shadow.node.name": "left"}

    def test_every_line_of_evidence_has_its_code(self, make_shadow_capture: MakeCapture) -> None:
        """Pairs, baselines and heartbeats; nobody can verify a line for people, and none is coded with a random key."""
        capture = make_shadow_capture({"arms": {"holdout": 0.0}})
        key = Redactor(HASH_KEY).verify_key
        call(attached(capture))
        call(attached(capture, lambda state: 1 / 0))
        beat_now(capture)
        lines = read(capture.log_file)
        assert key is not None
        assert Counter((line["event"], verifies(line, key)) for line in lines) == {
            ("SHADOW_V2", True): 2,
            ("SHADOW_COMPARISON", False): 2,
            ("SHADOW_HEARTBEAT", True): 1,
        }
        capture.manager.services.redactor.random_key = True
        assert Redactor().verify_key is None


class TestHeartbeats:
    """Totals of each node, from time to time and at the end."""

    def test_it_says_what_was_due_and_what_was_written(self, make_shadow_capture: MakeCapture) -> None:
        """Frozen, but for the process and the code."""
        capture = make_shadow_capture()
        graph = attached(capture)
        call(graph)
        call(graph)
        beat_now(capture)
        (beat,) = capture.lines(semconv.EVENT_HEARTBEAT)
        assert beat == {
            "event": "SHADOW_HEARTBEAT", "event_type": "shadow_heartbeat", "timestamp": "2025-01-09T10:30:45.123Z",
            "schema": 2, "service": beat["service"], "process": "process", "graph": "small", "node": "left",
            "handed_over": 2, "totals": {"shadow_v2_execution": 2}, "last": False, "v2_build": "test",
            "config_digest": capture.manager.config.digest, "key_id": capture.manager.services.redactor.key_id,
            "clock": "system", "code": "code", "session_id": None, "pair_id": None, "mode": None, "arm": None,
            "v1_latency_ms": None, "v1_status": None, "v1_served": None, "trace_id": None, "v1_span_id": None,
        }  # fmt: skip
        assert beat["process"] == capture.lines()[0]["process"]

    def test_it_has_the_keys_that_every_line_has(self) -> None:
        """Null where they tell of one execution: who counts ``mode`` over all lines of a log needs no case for it."""
        keys = [set(ORDER[event]) for event in (semconv.EVENT_V2, semconv.EVENT_COMPARISON, semconv.EVENT_BASELINE)]
        every = set.intersection(*keys) & {
            "schema", "pair_id", "session_id", "graph", "node", "mode", "arm", "v1_latency_ms", "v1_status",
            "v1_served", "v2_build", "config_digest", "key_id", "trace_id", "v1_span_id",
        }  # fmt: skip
        assert len(every) == 15
        assert every <= set(ORDER[semconv.EVENT_HEARTBEAT])

    def test_there_is_none_where_nothing_has_changed(self, make_shadow_capture: MakeCapture) -> None:
        """A process that does nothing says nothing, nor a node without traffic; at the end each says its last."""
        capture = make_shadow_capture()
        graph = capture.attach(small_graph(name="first"), {"left": left})
        other = capture.attach(small_graph(name="second"), {"left": left})
        capture.attach(small_graph(name="third"), {"left": left})
        beat_now(capture)
        assert capture.lines(semconv.EVENT_HEARTBEAT) == []
        call(graph)
        call(other)
        beat_now(capture)
        beat_now(capture)
        call(other)
        beat_now(capture)
        told = [(beat["graph"], beat["handed_over"], beat["last"]) for beat in beats(read(capture.log_file))]
        assert told == [("first", 1, False), ("second", 1, False), ("second", 2, False)]
        capture.manager.shutdown(PATIENCE_S)
        told = [(beat["graph"], beat["handed_over"], beat["last"]) for beat in beats(read(capture.log_file))]
        assert told[3:] == [("first", 1, True), ("second", 2, True)]

    def test_it_comes_by_itself_while_there_is_traffic(
        self, make_shadow_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody flushes, and the queue need not be empty."""
        capture = make_shadow_capture()
        assert capture.manager.record_queue.beat_s == 60.0
        monkeypatch.setattr(type(capture.manager.record_queue), "beat_s", 0.01)
        capture.manager.record_queue._next_beat_s = 0.0
        graph = attached(capture)

        def told() -> bool:
            call(graph)
            return len(beats(read(capture.log_file))) >= 3

        until(told)

    @pytest.mark.parametrize("end", ["drop", "raise", "enter", "hand over"])
    def test_what_never_became_a_record_is_due(
        self, make_shadow_capture: MakeCapture, monkeypatch: pytest.MonkeyPatch, end: str
    ) -> None:
        """Dropped by a full queue, broken while it was made, lost on V1's path: three are due, two are written."""
        capture = make_shadow_capture({"arms": {"holdout": 1.0}})
        graph, queue = attached(capture), capture.manager.record_queue
        call(graph)
        assert capture.manager.flush(PATIENCE_S)
        raised = iter([RuntimeError("ours")])

        def broken(*_: Any) -> Any:
            raise next(raised)

        with monkeypatch.context() as patch:
            if end == "drop":
                patch.setattr(queue, "_bound", 0)
            if end == "raise":
                patch.setattr(Redactor, "identifier", broken)
            if end == "enter":
                patch.setattr(Assignments, "of", broken)
            if end == "hand over":
                patch.setattr(type(queue), "offer", broken)
            call(graph)
            assert capture.manager.flush(PATIENCE_S)
        call(graph)
        beat_now(capture)
        (beat,) = capture.lines(semconv.EVENT_HEARTBEAT)
        assert (beat["handed_over"], beat["totals"]) == (3, {"shadow_baseline": 2})
        assert numbers(capture.lines(), "SHADOW_BASELINE") == [1, 2]

    def test_a_number_is_used_up_where_a_sink_fails(self, make_shadow_capture: MakeCapture) -> None:
        """What a sink could not write is missing among its lines, and only there."""
        capture = make_shadow_capture({"arms": {"holdout": 1.0}})
        graph, inner = attached(capture), capture.manager.record_queue.sinks[2]._inner  # type: ignore[attr-defined]
        call(graph)
        assert capture.manager.flush(PATIENCE_S)
        inner.write, write = lambda data: os.write(-1, data), inner.write  # no such descriptor
        call(graph)
        assert capture.manager.flush(PATIENCE_S)
        inner.write = write
        call(graph)
        beat_now(capture)
        assert numbers(capture.lines(), "SHADOW_BASELINE") == [1, 3]
        assert capture.lines(semconv.EVENT_HEARTBEAT)[0]["totals"] == {"shadow_baseline": 3}
        bodies = [json.loads(record.log_record.body) for record in capture._signals._events.seen]
        assert numbers(bodies, "SHADOW_BASELINE") == [1, 2, 3]
        assert capture.swallowed == {"sink": 1}

    def test_a_heartbeat_waits_for_no_empty_queue(self, make_shadow_capture: MakeCapture) -> None:
        """Under a load that never ends, which drops records, the totals are told all the same."""
        capture, begun, released = make_shadow_capture({"arms": {"holdout": 1.0}}), threading.Event(), threading.Event()
        queue, graph = capture.manager.record_queue, attached(capture)

        def busy() -> None:
            begun.set()
            released.wait()

        queue.put(busy)
        assert begun.wait(PATIENCE_S)
        for _ in range(2):
            call(graph)
        queue._next_beat_s = 0.0
        queue.put(lambda: seen.append(queue._next_beat_s > 0.0))  # type: ignore[arg-type,func-returns-value]
        seen: list[bool] = []
        released.set()
        assert capture.manager.flush(PATIENCE_S)
        assert seen == [True], "before the queue was empty"

    def test_without_logging_nothing_is_claimed(self, make_shadow_capture: MakeCapture) -> None:
        """``SHADOW_LOGGING=false`` for a while: no line, no heartbeat, no number used up, and the sum comes out."""
        flags = {True: FeatureFlags(), False: FeatureFlags(shadow_logging=False)}

        class Switch:
            current = flags[True]

        capture = make_shadow_capture({"arms": {"holdout": 0.0}}, Switch())
        graph = attached(capture)

        def turns(count: int, logging: bool) -> None:
            Switch.current = flags[logging]
            for _ in range(count):
                call(graph)
            beat_now(capture)

        turns(2, logging=True)
        turns(3, logging=False)
        assert len(capture.lines()) == 4
        assert len(capture.lines(semconv.EVENT_HEARTBEAT)) == 1
        turns(1, logging=True)
        assert numbers(read(capture.log_file), "SHADOW_V2") == [1, 2, 3]
        beat = capture.lines(semconv.EVENT_HEARTBEAT)[-1]
        assert (beat["handed_over"], beat["totals"]) == (6, {"shadow_v2_execution": 3, "unlogged": 3})
        assert len(capture.records) == 6, "other sinks get them all"
        turns(0, logging=False)
        capture.manager.shutdown(PATIENCE_S)
        assert len(beats(read(capture.log_file))) == 2

    def test_a_sink_that_breaks_in_beat_costs_the_others_nothing(self, make_shadow_capture: MakeCapture) -> None:
        """It is counted like any other fault of a sink."""

        class Broken(Sink):
            def emit(self, record: ShadowRecord) -> None:
                """Write nothing."""

            def beat(self, heartbeat: Heartbeat) -> None:
                raise SystemExit

        capture = make_shadow_capture()
        capture.manager.record_queue.sinks.insert(0, Broken())
        call(attached(capture))
        beat_now(capture)
        assert len(capture.lines(semconv.EVENT_HEARTBEAT)) == 1
        assert capture.swallowed == {"sink": 1}

    def test_what_comes_after_the_end_is_numbered_on(self, make_shadow_capture: MakeCapture) -> None:
        """V1 goes on after a shutdown: its lines are no others' numbers, and each does not bring a heartbeat."""
        capture = make_shadow_capture()
        graph = attached(capture)
        call(graph)
        capture.manager.shutdown(PATIENCE_S)
        for _ in range(3):
            call(graph)
            assert capture.manager.flush(PATIENCE_S)
        lines = read(capture.log_file)
        assert numbers(lines, "SHADOW_V2") == [1]
        assert numbers(lines, "SHADOW_BASELINE") == [1, 2, 3]
        assert [beat["totals"] for beat in beats(lines)] == [{"shadow_v2_execution": 1}]
        beat_now(capture)
        assert beats(read(capture.log_file))[-1]["totals"] == {"shadow_v2_execution": 1, "shadow_baseline": 3}


APPLICATION = """
import os, resource, signal, sys, threading, time
from pathlib import Path
from small_graphs import call, left, small_graph
from otel_shadow import ShadowIntegrationMiddleware
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig
def v2(state):
    if state["text"] == "hang":
        while True:
            time.sleep(3600)
    return left(state)
config = ShadowConfig.from_mapping({"arms": {"holdout": 0.0}, "limits": {"shutdown_seconds": 60.0}})
log = Path(sys.argv[1])
manager = ShadowTrafficManager(config, log_file=str(log))
graph = ShadowIntegrationMiddleware({"left": v2}, manager).attach(small_graph())
def turns(count, text="hello"):
    for _ in range(count):
        call(graph, {"text": text})
"""


def run(code: str, log: Path, expected: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", APPLICATION + code, str(log)],
        cwd=TESTS, capture_output=True, text=True, timeout=PATIENCE_S,
        env={**os.environ, "OTEL_SHADOW_HASH_KEY": SECRET, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == expected, done.stderr
    return done


ENDS = {
    "the end of main": "turns(5)",
    "an exception": "turns(5)\nos.dup2(os.open(os.devnull, os.O_WRONLY), 2)\nsys.exit(0)",
    "a shutdown": "turns(5)\nmanager.shutdown()",
    "multiprocessing": "import multiprocessing as m\np = m.get_context('fork').Process(target=turns, args=(5,))\n"
    "p.start(); p.join()",
    "a fork that exits at once": "p = os.fork()\nif p == 0:\n    turns(5)\n    os._exit(0)\nos.waitpid(p, 0)",
}


class TestProcesses:
    """Real processes on one file."""

    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    def test_the_last_line_of_a_process_is_its_last_heartbeat(self, tmp_path: Path, end: str) -> None:
        """However it ends: after its last record, with all that was due."""
        log = tmp_path / "app.log"
        run(end, log)
        lines = read(log)
        last = lines[-1]
        assert (last["event"], last["last"], last["handed_over"], last["totals"]) == (
            "SHADOW_HEARTBEAT", True, 5, {"shadow_v2_execution": 5},
        )  # fmt: skip
        assert numbers(lines, "SHADOW_V2", process=last["process"]) == [1, 2, 3, 4, 5]
        assert all(verifies(line, KEY) for line in lines if line["event"] != "SHADOW_COMPARISON")

    def test_each_fork_counts_by_itself(self, tmp_path: Path) -> None:
        """A server forks after its first requests: parent and children have ids and numbers of their own."""
        log = tmp_path / "app.log"
        run(
            """
turns(2)
children = []
for share in (3, 4):
    if (child := os.fork()) == 0:
        turns(share)
        os._exit(0)
    children.append(child)
turns(1)
for child in children:
    os.waitpid(child, 0)
""",
            log,
        )
        lines = read(log)
        told = [(beat["handed_over"], beat["totals"]["shadow_v2_execution"]) for beat in beats(lines, last=True)]
        assert sorted(told) == [(3, 3), (3, 3), (4, 4)]
        assert len({line["process"] for line in lines}) == 3
        for beat in beats(lines):
            own = numbers(lines, "SHADOW_V2", process=beat["process"])
            assert own == list(range(1, beat["handed_over"] + 1))

    def test_a_fork_that_does_nothing_says_nothing(self, tmp_path: Path) -> None:
        """It has claimed nothing: the parent's counts are the parent's."""
        log = tmp_path / "app.log"
        run("turns(2)\np = os.fork()\nif p == 0:\n    os._exit(0)\nos.waitpid(p, 0)", log)
        assert [beat["handed_over"] for beat in beats(read(log))] == [2]

    def test_what_a_kill_takes_is_told_by_the_heartbeat_before(self, tmp_path: Path) -> None:
        """Three handed over, V2 hangs in one, kill -9: the last heartbeat says that one is due."""
        log = tmp_path / "app.log"
        run(
            """
turns(2)
manager.flush(60)
turns(1, "hang")
manager.record_queue._next_beat_s = 0.0
while b"SHADOW_HEARTBEAT" not in log.read_bytes():
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
""",
            log,
            expected=-signal.SIGKILL,
        )
        lines = read(log)
        (beat,) = beats(lines)
        assert (beat["handed_over"], beat["totals"], beat["last"]) == (3, {"shadow_v2_execution": 2}, False)
        assert numbers(lines, "SHADOW_V2") == [1, 2]

    def test_a_full_disk_leaves_a_gap(self, tmp_path: Path) -> None:
        """Of fifteen executions no line could be written whole: the numbers go on behind them, the totals have them."""
        log = tmp_path / "app.log"
        run(
            """
turns(5)
manager.flush(60)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 700, hard))
turns(15)
manager.flush(60)
manager.record_queue._next_beat_s = 0.0
while manager.record_queue._next_beat_s == 0.0:
    time.sleep(0.01)
manager.record_queue.settle(10.0)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
turns(5)
""",
            log,
        )
        raw = log.read_bytes().splitlines()
        torn = [line for line in raw if not line.endswith(b"}")]
        assert len(torn) == 1, "what went into the last bytes stands by itself"
        lines = [json.loads(line) for line in raw if line not in torn]
        assert numbers(lines, "SHADOW_V2") == [1, 2, 3, 4, 5, 21, 22, 23, 24, 25]
        (beat,) = beats(lines)
        assert (beat["handed_over"], beat["totals"], beat["last"]) == (25, {"shadow_v2_execution": 25}, True)
