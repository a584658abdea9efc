"""The log lines: a contract of keys, in a file that several processes share, read with ``grep`` and ``jq``."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from frozen import FOLDER, frozen
from small_graphs import call, left, small_graph

from otel_shadow import ConfigError, FeatureFlags, ShadowConfig, semconv
from otel_shadow._runtime.sinks import Sink
from otel_shadow._telemetry.log_sinks import LogFileSink
from otel_shadow.evidence.line_fields import FieldReader
from otel_shadow.log_line import KEYS, ORDER, Key, encode, heartbeat_line, lines, timestamp
from otel_shadow.record import Arm, Comparison, Heartbeat, Mode, Observation, Outcome, ShadowRecord, Status
from otel_shadow.testing.capture import ShadowCapture

TESTS = Path(__file__).resolve().parents[1]
MakeCapture = Callable[..., ShadowCapture]
SETTINGS = {"session": {"message": "text", "steps": ["one", "two"], "intents": ["buy"]}}
RECORD = ShadowRecord(
    "p", "g", "n", Mode.V2_SHADOW, Arm.HOLDOUT, "s", datetime(2025, 1, 9, tzinfo=UTC), Observation(Status.SUCCESS, 0.1)
)


def v2(state: Any) -> dict[str, Any]:
    return {"trail": ["left"], "current_step": "two", "next_node": "__end__"}


@pytest.fixture
def one_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of every configuration, which else changes with every key that the configuration gains."""
    monkeypatch.setattr(ShadowConfig, "digest", "0123456789ab")


@pytest.mark.usefixtures("one_digest")
def test_the_lines_of_a_pair_are_a_contract(make_shadow_capture: MakeCapture) -> None:
    """Every key and value of both lines of a pair, in their order: frozen."""
    capture = make_shadow_capture(SETTINGS)
    call(capture.attach(small_graph(), {"left": v2}))
    seen = capture.lines()
    expected = frozen("lines_pair.json", seen)
    assert seen == expected
    assert [list(line) for line in seen] == [list(line) for line in expected]


@pytest.mark.usefixtures("one_digest")
def test_the_baselines_are_a_contract(make_shadow_capture: MakeCapture) -> None:
    """A holdout, a live execution and a fallback: frozen."""
    seen = []
    live = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100)
    for config, flags, node in (
        ({"arms": {"holdout": 1.0}}, None, v2),
        ({}, live, v2),
        ({}, live, lambda _: 1 / 0),
    ):
        capture = make_shadow_capture({**SETTINGS, **config}, flags)
        call(capture.attach(small_graph(), {"left": node}))
        seen += capture.lines()
    assert seen == frozen("lines_baseline.json", seen)


def test_the_first_keys_are_those_of_the_product_page(shadow_capture: ShadowCapture) -> None:
    """Tools that read the first keys keep working: these, in this order."""
    call(shadow_capture.attach(small_graph(), {"left": v2}))
    execution, comparison = shadow_capture.lines()
    assert list(execution)[:10] == [
        "event", "event_type", "session_id", "user_message_hash", "original_stage", "shadow_stage", "shadow_status",
        "shadow_latency_ms", "decision_comparison", "timestamp",
    ]  # fmt: skip
    assert list(execution["decision_comparison"]) == ["original_target", "shadow_target", "decisions_match"]
    assert [key for key in comparison if key != "event_type"][:9] == [
        "event", "node_name", "session_id", "v1_current_step", "v2_current_step", "steps_match", "v2_latency_ms",
        "v2_status", "timestamp",
    ]  # fmt: skip
    assert execution["pair_id"] == comparison["pair_id"]


def test_every_line_has_what_evidence_needs(make_shadow_capture: MakeCapture) -> None:
    """All three events carry the keys that join, scope and date an execution."""
    needed = {
        "schema", "pair_id", "graph", "node", "mode", "arm", "v1_latency_ms", "v1_status", "v1_served", "v2_build",
        "config_digest", "key_id", "trace_id", "v1_span_id", "timestamp", "session_id", "event", "clock",
    }  # fmt: skip
    seen = []
    for config in ({}, {"arms": {"holdout": 1.0}}):
        capture = make_shadow_capture({**SETTINGS, **config})
        call(capture.attach(small_graph(), {"left": v2}))
        seen += capture.lines()
    assert {line["event"] for line in seen} == {"SHADOW_V2", "SHADOW_COMPARISON", "SHADOW_BASELINE"}
    assert [needed - set(line) for line in seen] == [set()] * 3
    assert {line["schema"] for line in seen} == {semconv.LINE_SCHEMA}


@pytest.mark.parametrize("reason", ["cancelled", "not_captured:ConnectionError", "live"])
def test_a_record_with_a_reason_is_a_baseline_that_says_it(reason: str) -> None:
    """V2 never began in a shadow, whatever its status says (not restored, served live): one line, with why."""
    record = replace(RECORD, v2=Observation(Status.CANCELLED), reason=reason)
    assert not record.is_pair
    assert [(line["event"], line["reason"]) for line in lines(record)] == [("SHADOW_BASELINE", reason)]


JSON_TYPES = {
    "text": "string", "time": "string, RFC 3339 in UTC with milliseconds", "number": "number", "version": "number",
    "flag": "boolean", "names": "string[]", "table": "object",
}  # fmt: skip
PYTHON_TYPES = {
    "text": str,
    "time": str,
    "number": (int, float),
    "version": int,
    "flag": bool,
    "names": list,
    "table": dict,
}
RECORDED = FOLDER / "recorded_run" / "lines.json"
BEGIN, END = "<!-- log line: begin -->\n", "<!-- log line: end -->\n"


def in_events(key: Key) -> list[str]:
    return [event for event, names in ORDER.items() if key.path[0] in names]


def documented(key: Key) -> str:
    """The row of ``docs/telemetry.md``."""
    name = f"*`{key.name}`*" if key.cut else f"`{key.name}`"
    events = in_events(key)
    where = "all" if len(events) == len(ORDER) else ", ".join(f"`{event.removeprefix('SHADOW_')}`" for event in events)
    return f"| {name} | {where} | {JSON_TYPES[key.type]}{' or null' if key.nullable else ''} | {key.meaning} |\n"


def test_the_documentation_lists_every_key() -> None:
    """The table of keys is made from the schema; ``OTEL_SHADOW_UPDATE_GOLDEN=1`` writes it anew."""
    page = TESTS.parent / "docs" / "telemetry.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    made = "".join(["| key | in | type | what |\n|---|---|---|---|\n", *map(documented, KEYS)])
    if os.environ.get("OTEL_SHADOW_UPDATE_GOLDEN"):
        page.write_text(f"{before}{BEGIN}{made}{END}{after}", encoding="utf-8")
        table = made
    assert table == made


def test_the_schema_names_every_key_once_and_each_is_written() -> None:
    """No key twice, none that no line has, and no line has one that the schema does not know."""
    names = [key.name for key in KEYS]
    assert len(names) == len(set(names))
    assert {key.path[0] for key in KEYS} == {name for order in ORDER.values() for name in order}
    assert all(in_events(key) for key in KEYS)


def test_every_recorded_value_is_of_its_keys_type() -> None:
    """Lines of every status, mode and reason: null where the schema allows it and nowhere else."""
    text = RECORDED.read_text(encoding="utf-8").replace('"<ms>"', "1.5")  # a run's own times are left out there
    recorded = [line for scene in json.loads(text).values() for line in scene]
    beat = Heartbeat("bot", "p1", RECORD.timestamp, "g", "n", handed_over=3, totals={"SHADOW_V2": 2})
    recorded.append(heartbeat_line(beat))
    assert {line["event"] for line in recorded} == set(ORDER)
    wrong = []
    for key in KEYS:
        for line in recorded:
            if line["event"] in in_events(key):
                value = line[key.path[0]] if len(key.path) == 1 else line[key.path[0]][key.path[1]]
                if value is None and not key.nullable:
                    wrong.append((key.name, value))
                if value is not None and not isinstance(value, PYTHON_TYPES[key.type]):
                    wrong.append((key.name, value))
    assert wrong == []


def test_what_is_written_is_what_is_read() -> None:
    """A pair's fields come back from its line with the types that the reader promises."""
    record = replace(
        RECORD, arm=Arm.SHADOWED, intent="buy",
        v1=Observation(Status.SUCCESS, 0.1, "left", observed={"score": 0.5}),
        v2=Observation(Status.TIMEOUT, 0.25, "right"),
        comparison=Comparison(Outcome.MISMATCH, decisions_match=False, diff_fields=("b", "a")),
    )  # fmt: skip
    read = FieldReader(key.read_as for key in KEYS if key.read_as not in ("", "schema"))
    found = read(json.loads(encode(lines(record)[0])))
    assert {name: value for name, value in found.items() if value and value == value} == {
        "event": "SHADOW_V2", "pair_id": "p", "session": "s", "time": 1736380800000, "clock": "system", "graph": "g",
        "node": "n", "mode": "v2_shadow", "arm": "shadowed", "intent": "buy", "v1_ms": 100.0, "v1_status": "success",
        "v2_status": "timeout", "v2_ms": 250.0, "original_target": "left", "shadow_target": "right",
        "comparison": "mismatch", "diff_fields": ("a", "b"), "observed_v1": {"score": 0.5}, "has_session": True,
    }  # fmt: skip


def test_latencies_are_milliseconds_of_the_execution(shadow_capture: ShadowCapture) -> None:
    """Numbers, not below zero, with at most three decimals; V1's includes our own work."""
    call(shadow_capture.attach(small_graph(), {"left": v2}))
    line = shadow_capture.lines(semconv.EVENT_V2, still=False)[0]
    for key in ("shadow_latency_ms", "v1_latency_ms", "overhead_ms", "queue_ms"):
        assert isinstance(line[key], float)
        assert line[key] >= 0
        assert round(line[key], 3) == line[key]
    assert 0 < line["overhead_ms"] <= line["v1_latency_ms"]


def test_timestamps_are_utc_with_milliseconds() -> None:
    """RFC 3339, ``Z``, whatever zone the moment came in."""
    moment = datetime(2025, 1, 9, 7, 30, 45, 123999, timezone(timedelta(hours=-3)))
    assert timestamp(moment) == "2025-01-09T10:30:45.123Z"


def test_a_line_is_compact_utf_8() -> None:
    """One line, no spaces, ü as ü."""
    assert (
        encode({"event": "é", "n": 1.5, "x": None, "l": [True]})
        == '{"event":"é","n":1.5,"x":null,"l":[true]}\n'.encode()
    )


def test_a_shed_execution_is_a_baseline() -> None:
    """A shadow that never ran is no pair; the line says why."""
    shed = replace(RECORD, arm=Arm.SHADOWED, v2=Observation(Status.SHED), reason="shed:queue")
    (line,) = lines(shed)
    assert (line["event"], line["reason"], line["v2_status"]) == ("SHADOW_BASELINE", "shed:queue", "shed")


class TestFile:
    """Destinations: a file, a standard stream."""

    def test_each_line_is_one_write(self, tmp_path: Path) -> None:
        """One system call per line, appended to what is there."""
        log = tmp_path / "app.log"
        log.write_text("the application's own line\n", encoding="utf-8")
        sink = LogFileSink(log)
        sink.emit(RECORD)
        sink.close()
        first, second = log.read_text(encoding="utf-8").splitlines()
        assert (first, json.loads(second)["pair_id"]) == ("the application's own line", "p")

    def test_a_new_file_is_the_users_own(self, tmp_path: Path) -> None:
        """Others can't read it."""
        LogFileSink(tmp_path / "app.log").close()
        assert (tmp_path / "app.log").stat().st_mode & 0o007 == 0

    @pytest.mark.parametrize(
        ("named", "told"),
        [
            ('"app.log"', 'got "app.log", expected the path without quotes and blanks around it: app.log'),
            ("'app.log'", "got 'app.log', expected the path without quotes and blanks around it: app.log"),
            ('"stdout"', 'got "stdout", expected the path without quotes and blanks around it: stdout'),
            ("STDOUT", "got STDOUT, expected stdout (for a file of that name: ./STDOUT)"),
            ("-", "got -, expected stdout (for a file of that name: ./-)"),
            ("StdErr", "got StdErr, expected stderr (for a file of that name: ./StdErr)"),
        ],
    )
    def test_no_file_is_made_of_what_was_meant_otherwise(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, told: str
    ) -> None:
        """Env files keep quotes, and people write STDOUT: the error says what to write, and no file appears."""
        monkeypatch.chdir(tmp_path)
        for given in (None, named):
            monkeypatch.setenv("OTEL_SHADOW_LOG_FILE", named if given is None else "app.log")
            with pytest.raises(ConfigError) as caught:
                LogFileSink(given)
            where = "OTEL_SHADOW_LOG_FILE" if given is None else "log_file"
            assert caught.value.problems == (f"{where}: {told}",)
        assert list(tmp_path.iterdir()) == []

    def test_blanks_behind_the_name_are_no_part_of_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A carriage return of an env file makes no second file."""
        monkeypatch.setenv("OTEL_SHADOW_LOG_FILE", f"{tmp_path}/app.log\r")
        LogFileSink().close()
        assert [file.name for file in tmp_path.iterdir()] == ["app.log"]

    def test_the_environment_names_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """``OTEL_SHADOW_LOG_FILE``; without it, standard error."""
        assert LogFileSink().path == "stderr"
        monkeypatch.setenv("OTEL_SHADOW_LOG_FILE", str(tmp_path / "named.log"))
        sink = LogFileSink()
        sink.emit(RECORD)
        sink.close()
        assert (tmp_path / "named.log").stat().st_size > 0

    def test_four_processes_share_a_file(self, tmp_path: Path) -> None:
        """Two thousand lines near the limit from four writers: none is torn, none is lost."""
        log, writers, count = tmp_path / "app.log", 4, 500
        code = (
            "import sys, json\n"
            "from otel_shadow._telemetry.log_sinks import LogFileSink\n"
            "sink, who = LogFileSink(sys.argv[1]), sys.argv[2]\n"
            f"for n in range({count}):\n"
            "    head = json.dumps({'who': who, 'n': n, 'pad': ''})\n"
            "    size = 4095 - n % 7\n"
            "    sink.write(head[:-2].encode() + who.encode() * (size - len(head)) + b'\"}\\n')\n"
        )
        started = [subprocess.Popen([sys.executable, "-c", code, str(log), str(who)]) for who in range(writers)]
        assert [process.wait(120) for process in started] == [0] * writers
        seen = Counter()
        for line in log.read_bytes().splitlines():
            read = json.loads(line)
            assert set(read["pad"]) == {read["who"]}
            seen[read["who"], read["n"]] += 1
        assert seen == Counter({(str(who), n): 1 for who in range(writers) for n in range(count)})

    def test_rotation_by_rename_loses_no_line(self, tmp_path: Path) -> None:
        """A file that is renamed away while we write is noticed; old and new together hold every line."""
        log = tmp_path / "app.log"
        sink = LogFileSink(log)
        for number in range(100):
            if number % 10 == 5:
                log.rename(tmp_path / f"app.log.{number}")
            sink.emit(replace(RECORD, pair_id=str(number)))
        sink.close()
        files = list(tmp_path.iterdir())
        seen = [json.loads(line)["pair_id"] for file in files for line in file.read_bytes().splitlines()]
        assert len(files) == 11
        assert sorted(seen, key=int) == [str(number) for number in range(100)]

    def test_a_removed_folder_is_an_error_and_then_heals(self, tmp_path: Path) -> None:
        """The sink raises (it is counted), and writes again once the folder is back."""
        folder = tmp_path / "logs"
        folder.mkdir()
        sink = LogFileSink(folder / "app.log")
        shutil.rmtree(folder)
        with pytest.raises(FileNotFoundError):
            sink.emit(RECORD)
        folder.mkdir()
        sink.emit(RECORD)
        sink.close()
        assert len((folder / "app.log").read_bytes().splitlines()) == 1

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
    def test_a_full_disk_is_counted_and_not_felt(self, make_shadow_capture: MakeCapture) -> None:
        """No space left: V1 answers, the loss is in ``shadow.swallowed``, and the other signals go on."""
        capture = make_shadow_capture()
        sink = LogFileSink("/dev/full")
        capture.manager.record_queue.sinks.insert(0, sink)
        assert call(capture.attach(small_graph(), {"left": left}))["trail"] == ["left", "right"]
        assert len(capture.lines()) == 2
        assert capture.swallowed == {"sink": 1}
        assert capture.value(semconv.SWALLOWED, shadow__operation="sink") == 1
        sink.close()

    def test_a_sink_that_raises_costs_the_others_nothing(self, make_shadow_capture: MakeCapture) -> None:
        """One door, many sinks: each is guarded by itself."""

        class Broken(Sink):
            def open(self, graph: str, node: str) -> None:
                raise RuntimeError("open")

            def emit(self, record: ShadowRecord) -> None:
                raise RuntimeError("Maria")

            def flush(self, timeout_s: float) -> None:
                raise RuntimeError("flush")

        capture = make_shadow_capture()
        capture.manager.record_queue.sinks.insert(0, Broken())
        call(capture.attach(small_graph(), {"left": left}))
        assert len(capture.lines()) == 2
        assert capture.swallowed["sink"] == 2


APPLICATION = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.{stream}, format="%(asctime)s {{%(name)s}} %(message)s")
from otel_shadow import ShadowIntegrationMiddleware
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow.config import ShadowConfig
from small_graphs import call, left, small_graph
manager = ShadowTrafficManager(ShadowConfig.from_mapping({{"arms": {{"holdout": 0.0}}}}), log_file={log!r})
graph = ShadowIntegrationMiddleware({{"left": left}}, manager).attach(small_graph())
for number in range(20):
    logging.info("turn %s of {{somebody}}", number)
    print("printed \\"this\\"")
    call(graph)
manager.shutdown(10)
"""


def run_application(log: str, stream: str = "stdout") -> subprocess.CompletedProcess[bytes]:
    """An application whose own lines are no JSON, with shadows."""
    return subprocess.run(
        [sys.executable, "-c", APPLICATION.format(log=log, stream=stream)], cwd=TESTS, check=True, capture_output=True
    )


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
class TestJq:
    """``grep 'SHADOW_V2\\|SHADOW_COMPARISON' app.log | jq .``, as it stands."""

    def events(self, log: Path) -> list[str]:
        command = f"grep 'SHADOW_V2\\|SHADOW_COMPARISON' {log} | jq -r .event"
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True, capture_output=True, text=True)
        return done.stdout.split()

    @pytest.mark.parametrize("stream", ["stdout", "stderr"])
    def test_in_an_applications_stream(self, tmp_path: Path, stream: str) -> None:
        """Our lines go to the stream itself, past the application's formatter, whole."""
        done = run_application(stream, stream)
        log = tmp_path / "app.log"
        log.write_bytes(done.stdout if stream == "stdout" else done.stderr)
        assert b"turn 3 of {somebody}" in log.read_bytes()
        assert Counter(self.events(log)) == {"SHADOW_V2": 20, "SHADOW_COMPARISON": 20, "SHADOW_HEARTBEAT": 1}

    def test_in_an_applications_file(self, tmp_path: Path) -> None:
        """The application logs to the same file by itself: nothing is mixed within a line."""
        log = tmp_path / "app.log"
        handler = logging.FileHandler(log)
        logger = logging.Logger("app")
        logger.addHandler(handler)
        sink = LogFileSink(log)
        for number in range(50):
            logger.info("line %s {not json}", number)
            sink.emit(replace(RECORD, arm=Arm.SHADOWED, v2=Observation(Status.SUCCESS, 0.1), pair_id=str(number)))
        handler.close()
        sink.close()
        assert Counter(self.events(log)) == {"SHADOW_V2": 50, "SHADOW_COMPARISON": 50}

    def test_the_stream_is_stderr_by_default(self, tmp_path: Path) -> None:
        """Nobody named a file: standard error has the lines, standard output is the application's own."""
        code = APPLICATION.replace("log_file={log!r}", "log_file=None").format(log="", stream="stdout")
        done = subprocess.run([sys.executable, "-c", code], cwd=TESTS, check=True, capture_output=True)
        assert b"SHADOW_V2" not in done.stdout
        (tmp_path / "err.log").write_bytes(done.stderr)
        assert len(self.events(tmp_path / "err.log")) == 41, "the totals name the events: one line more"


def test_log_events_are_the_lines(shadow_capture: ShadowCapture) -> None:
    """The same lines as OpenTelemetry log events: name, body byte for byte, trace and span of the shadow."""
    call(shadow_capture.attach(small_graph(), {"left": v2}))
    shadow_capture.settle()
    events = [record.log_record for record in shadow_capture._signals._events.seen]
    assert [event.event_name for event in events] == ["SHADOW_V2", "SHADOW_COMPARISON"]
    assert [event.body for event in events] == shadow_capture.log_bytes().decode().splitlines()
    line = shadow_capture.lines(semconv.EVENT_V2)[0]
    assert f"{events[0].trace_id:032x}" == line["trace_id"]
    assert f"{events[0].span_id:016x}" == line["v2_span_id"]
    assert events[0].timestamp == 1736418645123000000
