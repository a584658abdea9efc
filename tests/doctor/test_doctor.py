"""The doctor names each fault of a set-up with its remedy, and drafts a configuration that loads."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_graphs import small_graph

from otel_shadow import semconv, with_shadow_v2
from otel_shadow._doctor import Finding, Severity, arms, examine
from otel_shadow._doctor.doctor_command import print_verify_key
from otel_shadow._doctor.draft import draft
from otel_shadow._doctor.graph import check_graph, import_graph
from otel_shadow._runtime.redact import Redactor
from otel_shadow.cli import cli
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError
from otel_shadow.line_code import code_of, environment_key, verifies

GRAPH = "small_graphs:small_graph"
Told = tuple[str, str, str]
KERNEL_CLOCK = arms.kernel_clock
NO_ARGUMENTS = (
    f"{__name__}:greedy_v2: calling it raised TypeError: greedy_v2() missing 2 required positional arguments: "
    "'state' and 'database'; expected a graph"
)


def good_v2(state: object) -> dict[str, object]:
    return {}


def deaf_v2() -> dict[str, object]:
    return {}


def greedy_v2(state: object, database: object) -> dict[str, object]:
    return {}


@pytest.fixture(autouse=True)
def _set_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and none of our variables but the log file's."""
    for name in (semconv.ENV_CONFIG, semconv.ENV_HASH_KEY, semconv.ENV_V2_BUILD, semconv.ENV_V2_SHADOW):
        monkeypatch.delenv(name, raising=False)
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(semconv.ENV_LOG_FILE, str(tmp_path / "app.log"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(arms, "kernel_clock", lambda: arms.KernelClock(True, 0.004))
    monkeypatch.chdir(tmp_path)


def found(data: dict[str, object]) -> list[Told]:
    """What is said of the small graph under the configuration ``data``: severity, subject, text."""
    return [told[:3] for told in check_graph(small_graph(), ShadowConfig.from_mapping(data))]


def of(subject: str, findings: list[Finding]) -> Finding:
    return next(finding for finding in findings if finding.subject == subject)


@pytest.mark.parametrize(
    ("v2", "told"),
    [
        ("self", ("ok", "nodes.left", "V2 is V1 itself: a noise check")),
        (f"{__name__}:good_v2", ("ok", "nodes.left", "V2 good_v2")),
        (f"{__name__}:deaf_v2", ("problem", "nodes.left", "V2 takes no argument: it can't see the state")),
        (f"{__name__}:greedy_v2", ("problem", "nodes.left", "V2 needs database, which LangGraph does not give")),
        (f"{__name__}:GRAPH", ("problem", "nodes.left", "V2 is a str")),
        ("nowhere:v2", ("problem", "nodes.left",
                        "V2 'nowhere:v2' can't be imported: ModuleNotFoundError: No module named 'nowhere'")),
    ],
)  # fmt: skip
def test_v2_is_imported_and_its_signature_checked(v2: str, told: Told) -> None:
    """A V2 that could not run is a problem before it is deployed."""
    assert told in found({"nodes": {"left": {"v2": v2}}})


def test_a_node_that_the_graph_lacks_is_a_problem_and_the_nearest_is_named() -> None:
    """A misspelt node would silently have no shadow."""
    told = list(check_graph(small_graph(), ShadowConfig.from_mapping({"nodes": {"lefd": {"v2": "self"}}})))
    assert ("problem", "nodes.lefd", "the graph has no node of this name: no shadow will run",
            "did you mean 'left'?") in told  # fmt: skip
    assert ("problem", "graph", "no node has a V2: nothing will be shadowed", "name one in [nodes.X] v2") in told


def test_a_path_that_the_state_lacks_is_a_problem() -> None:
    """A session id that is read from nowhere is named with the fields that exist."""
    told = found({"session": {"id": "conversation", "message": "text"}, "nodes": {"left": {"v2": "self"}}})
    assert ("problem", "session.id", "the state has no 'conversation'") in told


def test_without_a_configuration_the_defaults_are_examined() -> None:
    """Nothing set is no problem: what a deployment should set is noted."""
    findings = examine()
    severities = {finding.subject: str(finding.severity) for finding in findings}
    assert severities == {
        "configuration": "note", "flags": "ok", "arms": "note", "clock": "ok", "hash key": "note", "V2 build": "note",
        "log file": "ok", "collector": "note",
    }  # fmt: skip


def test_every_fault_of_a_configuration_is_a_problem(tmp_path: Path) -> None:
    """A key that does not exist is told, and the command fails."""
    (tmp_path / "shadow.toml").write_text("[nodes.left]\nv3 = 'self'\n")
    finding = of("configuration", examine())
    assert (finding.severity, finding.text) == (
        Severity.PROBLEM,
        "shadow.toml: nodes.left.v3: no such key; did you mean v2?",
    )
    assert CliRunner().invoke(cli, ["doctor"], standalone_mode=False).return_value == 1


@pytest.mark.parametrize(("nodes", "told"), [(["left"], "1 node"), (["left", "right"], "2 nodes")])
def test_a_valid_configuration_is_told_with_its_nodes(nodes: list[str], told: str, tmp_path: Path) -> None:
    """One node is one node."""
    (tmp_path / "shadow.toml").write_text("".join(f"[nodes.{name}]\nv2 = 'self'\n" for name in nodes))
    finding = of("configuration", examine())
    assert finding.severity is Severity.OK
    assert finding.text.startswith(f"shadow.toml: valid, {told}, digest ")


def test_a_shadow_that_runs_nowhere_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """With shadow and live both off, the doctor says which variable turns the shadow on."""
    monkeypatch.setenv(semconv.ENV_V2_SHADOW, "false")
    problems = [finding for finding in examine() if finding.severity is Severity.PROBLEM]
    assert [finding.remedy for finding in problems] == ["set ROUTER_V2_SHADOW=true"]


@pytest.mark.parametrize(
    ("values", "subject", "text"),
    [
        (
            {"ROUTER_V2_PERCENTAGE": "10"},
            "flags",
            "ROUTER_V2_PERCENTAGE=10 does nothing while V2 is not enabled",
        ),
        (
            {"ROUTER_V2_ENABLED": "true"},
            "flags",
            "ROUTER_V2_ENABLED=true does nothing while ROUTER_V2_PERCENTAGE is 0",
        ),
        (
            {"SHADOW_LOGGING": "false"},
            "flags",
            "SHADOW_LOGGING=false: no line and no log event is written, so the verdict will have no evidence",
        ),
        ({"ROUTER_V2_PERCENTGE": "10"}, "environment", "ROUTER_V2_PERCENTGE is no variable of otel-shadow"),
        ({"ROUTER_V2_X": "1"}, "environment", "ROUTER_V2_X is no variable of otel-shadow"),
        ({"SHADOW_LOGS": "1"}, "environment", "SHADOW_LOGS is no variable of otel-shadow"),
        ({"OTEL_SHADW_HASH_KEY": "1"}, "environment", "OTEL_SHADW_HASH_KEY is no variable of otel-shadow"),
        ({"otel_shadow_log_file": "x"}, "environment", "otel_shadow_log_file is no variable of otel-shadow"),
    ],
)
def test_what_does_nothing_is_noted(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], subject: str, text: str
) -> None:
    """A flag that does nothing as the others are, and a misspelt variable, have a word each, with the remedy."""
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    told = [finding for finding in examine() if (finding.subject, finding.text) == (subject, text)]
    assert [finding.severity for finding in told] == [Severity.NOTE]
    assert told[0].remedy


def test_variables_of_other_programs_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only begins like one of otel-shadow's is the application's own; flags may be written in small letters."""
    for name in ("V2_API_URL", "SHADOW_DATABASE_URL", "OTEL_SERVICE_NAME", "LOG_FILE", "router_v2_percentage"):
        monkeypatch.setenv(name, "1")
    assert [finding.text for finding in examine() if finding.subject == "environment"] == []


@pytest.mark.parametrize(
    ("key", "severity", "text"),
    [
        ("demo", "problem", "OTEL_SHADOW_HASH_KEY has 4 bytes, and 16 are the least"),
        ("change-me-in-production", "problem", "OTEL_SHADOW_HASH_KEY is made of common words only"),
        ("b8e2f4a6c0d1e3f5", "ok", "set, key id 142ab173"),
    ],
)
def test_a_weak_hash_key_is_a_problem(monkeypatch: pytest.MonkeyPatch, key: str, severity: str, text: str) -> None:
    """A key that is guessed makes the hash of every phone number a phone number: the doctor fails."""
    monkeypatch.setenv(semconv.ENV_HASH_KEY, key)
    finding = of("hash key", examine())
    assert (str(finding.severity), finding.text) == (severity, text)
    assert finding.remedy == "" or "openssl rand -hex 32" in finding.remedy


class TestVerifyKey:
    """``doctor --verify-key``, and the check of what was copied from it."""

    def test_it_is_the_key_of_the_lines(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """One line on standard output, frozen; set as the variable, it verifies lines written with the hash key."""
        monkeypatch.setenv(semconv.ENV_HASH_KEY, "b8e2f4a6c0d1e3f5")
        assert print_verify_key() == 0
        told, warned = capsys.readouterr()
        assert (told, warned) == ("5bc7f7303e04a7ef35a7328861146025d22be6ae6da9f520f53612c5b275053c\n", "")
        line: dict[str, object] = {"event": "SHADOW_V2", "pair_id": "p"}
        line["code"] = code_of(line, Redactor().verify_key or b"")
        monkeypatch.setenv(semconv.ENV_HASH_KEY, "another secret, of long standing")
        monkeypatch.setenv(semconv.ENV_VERIFY_KEY, told)
        assert verifies(line, environment_key() or b"")

    def test_without_a_hash_key_there_is_none(self) -> None:
        """One sentence with its remedy: a random key is another in each process."""
        with pytest.raises(ConfigError) as caught:
            print_verify_key()
        (told,) = caught.value.problems
        expected = "OTEL_SHADOW_HASH_KEY is not set: lines get no code; set it as it is where they are written"
        assert told == f"doctor --verify-key: {expected}"

    def test_a_weak_hash_key_is_told_beside_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The key alone is on standard output, for a pipe."""
        monkeypatch.setenv(semconv.ENV_HASH_KEY, "demo")
        assert print_verify_key() == 0
        told, warned = capsys.readouterr()
        assert len(told) == 65
        assert warned.startswith("OTEL_SHADOW_HASH_KEY has 4 bytes, and 16 are the least: ")

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (
                "ab" * 32,
                "OTEL_SHADOW_VERIFY_KEY is not that of OTEL_SHADOW_HASH_KEY: no line of this key is taken for ours",
            ),
            ("ab", "OTEL_SHADOW_VERIFY_KEY: expected the 64 hex digits that otel-shadow doctor --verify-key prints"),
        ],
    )
    def test_another_key_is_a_problem(self, monkeypatch: pytest.MonkeyPatch, value: str, text: str) -> None:
        """Every line would be taken for a forged one, and the verdict would have no evidence."""
        monkeypatch.setenv(semconv.ENV_HASH_KEY, "b8e2f4a6c0d1e3f5")
        monkeypatch.setenv(semconv.ENV_VERIFY_KEY, value)
        finding = of("verify key", examine())
        assert (finding.severity, finding.text) == (Severity.PROBLEM, text)
        monkeypatch.delenv(semconv.ENV_VERIFY_KEY)
        assert [finding for finding in examine() if finding.subject == "verify key"] == []


def lines(tmp_path: Path, *told: dict[str, object]) -> None:
    (tmp_path / "app.log").write_text("".join(f"{json.dumps({'event': 'SHADOW_V2', **one})}\n" for one in told))


def test_the_log_says_how_much_traffic_has_no_session_id(tmp_path: Path) -> None:
    """Three of five executions came without an id: a note, with where the id is configured."""
    lines(
        tmp_path,
        *({"node": "left", "session_id": f"s{n}", "has_session_id": n > 2} for n in range(5)),
        {"event": "SHADOW_COMPARISON", "node": "left", "session_id": "s9", "has_session_id": False},
    )
    finding = of("session ids", examine())
    assert (finding.severity, finding.text) == (
        Severity.NOTE,
        "3 of the last 5 executions in app.log had none: each run is a session of its own",
    )
    assert "[session] id" in finding.remedy


@pytest.mark.parametrize(
    ("same", "others", "noted"), [(25, 10, True), (150, 850, True), (20, 0, False), (60, 100, False)]
)
def test_the_log_says_where_one_id_is_everybodys(tmp_path: Path, same: int, others: int, noted: bool) -> None:
    """An id that is a constant, or ``null`` of many clients, makes one session of all conversations."""
    ids = ["constant"] * same + [f"s{n}" for n in range(others)]
    lines(tmp_path, *({"node": "left", "session_id": one, "has_session_id": True} for one in ids))
    told = [finding.text for finding in examine() if finding.subject == "session ids"]
    whole = f"{same} of the last {same + others} executions of node 'left' in app.log are of one session"
    assert told == ([whole] if noted else [])


def test_lines_of_the_release_before_are_told_by_their_key_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same secret has another key id now: the log that holds both is not one window."""
    monkeypatch.setenv(semconv.ENV_HASH_KEY, "b8e2f4a6c0d1e3f5")
    lines(tmp_path, {"node": "left", "session_id": "s1", "key_id": "47cd8187"}, {"node": "left", "key_id": "142ab173"})
    told = [finding.text for finding in examine() if finding.subject == "hash key"]
    assert told == [
        "set, key id 142ab173",
        "app.log has lines of release 0.1, where this key has the id 47cd8187; now it is 142ab173",
    ]


def test_a_log_file_in_quotes_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Env files keep quotes; the doctor says what to write, and makes no file."""
    monkeypatch.setenv(semconv.ENV_LOG_FILE, '"app.log"')
    finding = of("log file", examine())
    assert (finding.severity, finding.text) == (
        Severity.PROBLEM,
        'OTEL_SHADOW_LOG_FILE: got "app.log", expected the path without quotes and blanks around it: app.log',
    )
    assert list(tmp_path.iterdir()) == []


def test_a_log_file_that_can_not_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The log is opened, not only named."""
    monkeypatch.setenv(semconv.ENV_LOG_FILE, str(tmp_path))
    assert of("log file", examine()).severity is Severity.PROBLEM


def test_a_collector_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test span is sent to the named endpoint."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    assert of("collector", examine()).severity is Severity.PROBLEM


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("small_graphs", "small_graphs: expected module:attribute, such as myapp.workflow:graph"),
        ("nowhere:graph", "nowhere:graph: no module named 'nowhere'"),
        ("small_graphs:none", "small_graphs:none: module 'small_graphs' has no 'none'"),
        ("small_graphs:END", "small_graphs:END: expected a graph, found str"),
        (f"{__name__}:greedy_v2", NO_ARGUMENTS),
    ],
)
def test_what_is_no_graph_is_named(path: str, problem: str) -> None:
    """Each wrong path has a sentence of its own."""
    with pytest.raises(ConfigError) as error:
        import_graph(path)
    assert error.value.problems == (problem,)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import math\nprice = 1 / 0\n", "ZeroDivisionError: division by zero (broken_app.py, line 2)"),
        ("def v2(state)\n    pass\n", "SyntaxError: expected ':' (broken_app.py, line 1)"),
        ("import json\n\njson.loads('')\n",
         "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (broken_app.py, line 3)"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all' (broken_app.py, line 1)"),
        ("import os\nos.nothing\n",
         "AttributeError: module 'os' has no attribute 'nothing' (broken_app.py, line 2)"),
        ("raise RuntimeError('no database\\n at db')\n", "RuntimeError: no database at db (broken_app.py, line 1)"),
    ],
)  # fmt: skip
def test_what_an_import_raises_is_told_with_message_file_and_line(tmp_path: Path, code: str, told: str) -> None:
    """On the developer's own terminal nothing is hidden: of a V2, and of the graph's own module."""
    (tmp_path / "broken_app.py").write_text(code)
    sys.path.insert(0, str(tmp_path))
    sys.modules.pop("broken_app", None)
    assert ("problem", "nodes.left", f"V2 'broken_app:v2' can't be imported: {told}") in found(
        {"nodes": {"left": {"v2": "broken_app:v2"}}}
    )
    assert of("graph", examine("broken_app:graph")).text == f"broken_app:graph: importing it raised {told}"


def test_what_making_the_graph_raises_is_told_with_file_and_line(tmp_path: Path) -> None:
    """A function that returns the graph may fail deep inside the application."""
    (tmp_path / "maker.py").write_text("def graph():\n    return {}['db']\n")
    sys.modules.pop("maker", None)
    told = of("graph", examine("maker:graph")).text
    assert told == "maker:graph: calling it raised KeyError: 'db' (maker.py, line 2); expected a graph"


def test_a_graph_is_found_by_its_function() -> None:
    """``module:attribute`` may name a function that returns the graph."""
    assert import_graph(GRAPH).get_name() == "small"


def test_the_draft_is_a_configuration_that_loads(tmp_path: Path) -> None:
    """Every node is listed, and the file is valid as it is written."""
    result = CliRunner().invoke(cli, ["doctor", "--write", GRAPH], standalone_mode=False)
    assert result.return_value == 0, result.output
    text = (tmp_path / "shadow.toml").read_text()
    assert text == draft(small_graph())
    assert [line for line in text.splitlines() if "[nodes." in line] == ["# [nodes.left]", "# [nodes.right]"]
    config = ShadowConfig.load(tmp_path / "shadow.toml")
    assert (config.session.message, config.session.step) == ("text", "current_step")


@pytest.mark.parametrize("named", ["option", "environment"])
def test_the_draft_is_written_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """``--config FILE``, else ``OTEL_SHADOW_CONFIG``: the file that ``doctor`` reads with the same arguments."""
    option = ["--config", "other.toml"] if named == "option" else []
    monkeypatch.setenv("OTEL_SHADOW_CONFIG", "absent.toml" if option else "other.toml")
    result = CliRunner().invoke(cli, ["doctor", "--write", *option, GRAPH], standalone_mode=False)
    assert result.return_value == 0, result.output
    assert (tmp_path / "other.toml").read_text() == draft(small_graph())
    assert not (tmp_path / "shadow.toml").exists()
    assert result.output == (
        f"wrote other.toml: name V2 for the nodes to shadow, then run {' '.join(['doctor', GRAPH, *option])}\n"
    )


def test_a_draft_that_can_not_be_written_is_one_error() -> None:
    """The folder is not there: the file is named, and what to do."""
    with pytest.raises(ConfigError, match=r"^absent/shadow\.toml: No such file .*; name a file .* with --config$"):
        CliRunner().invoke(
            cli, ["doctor", "--write", "--config", "absent/shadow.toml", GRAPH],
            standalone_mode=False, catch_exceptions=False,
        )  # fmt: skip


def test_a_draft_replaces_no_file(tmp_path: Path) -> None:
    """A ``shadow.toml`` that exists stays as it is."""
    (tmp_path / "shadow.toml").write_text("# mine\n")
    with pytest.raises(ConfigError, match="nothing was written"):
        CliRunner().invoke(cli, ["doctor", "--write", GRAPH], standalone_mode=False, catch_exceptions=False)
    assert (tmp_path / "shadow.toml").read_text() == "# mine\n"


def toml(folder: Path, text: str) -> None:
    (folder / "shadow.toml").write_text(text)


@pytest.mark.parametrize(
    ("text", "severity", "told", "remedy"),
    [
        ("", "ok", "one slot of 60 s in 3 starts no shadow, of service 'shop'", ""),
        ("[arms]\nholdout = 0.1\nslot_seconds = 90", "ok", "one slot of 90 s in 10 starts no shadow, of service 'shop'",
         ""),
        ("[arms]\nholdout = 0.33", "ok", "one slot of 60 s in 3 starts no shadow, of service 'shop'", ""),
        ("[arms]\nholdout = 0.15", "note",
         ("a holdout of 0.15 is no whole part of the time, and is taken as one slot in 7 (0.143); "
          "one slot of 60 s in 7 starts no shadow"), "write 0.143"),
        ("[arms]\nholdout = 1", "problem", "holdout 1: no shadow starts at any time", "set [arms] holdout = 0.333"),
        ("[arms]\nholdout = 0", None, None, None),
        ("[arms]\nholdout_instance = true", None, None, None),
    ],
)  # fmt: skip
def test_how_the_holdout_is_drawn_is_told(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    severity: str | None,
    told: str | None,
    remedy: str | None,
) -> None:
    """One slot in a whole number, of the service's name; a share of something else is told with what it is taken as."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    toml(tmp_path, text)
    found = [finding for finding in examine() if finding.subject == "arms"]
    assert [(str(finding.severity), finding.text, finding.remedy) for finding in found] == (
        [(severity, told, remedy)] if severity else []
    )


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("", None),
        ("[flags]\ntimeout_ms = 5001", 61),
        ("[nodes.left]\nv2 = 'self'\ntimeout_ms = 9000", 108),
        ("[nodes.left]\nv2 = 'self'\ntimeout_ms = 9000\n[arms]\nslot_seconds = 108", None),
        ("[nodes.left]\nv2 = 'self'\ntimeout_ms = 9000\n[arms]\nholdout = 0", None),
        ("[arms]\nslot_seconds = 30", 60),
    ],
)
def test_a_slot_is_twelve_times_the_longest_time_limit(tmp_path: Path, text: str, needed: int | None) -> None:
    """A shorter one is a problem, with the length that is needed."""
    toml(tmp_path, text)
    problems = [finding for finding in examine() if finding.severity is Severity.PROBLEM]
    assert [(finding.subject, finding.remedy) for finding in problems] == (
        [("arms", f"set [arms] slot_seconds = {needed}, or a shorter limit")] if needed else []
    )


def test_a_limit_in_the_environment_outranks_the_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``V2_TIMEOUT_MS`` is the limit of all nodes."""
    toml(tmp_path, "[nodes.left]\nv2 = 'self'\ntimeout_ms = 9000")
    monkeypatch.setenv("V2_TIMEOUT_MS", "1000")
    assert Severity.PROBLEM not in {finding.severity for finding in examine()}


@with_shadow_v2(good_v2, timeout_ms=20_000)
def patient(state: object) -> dict[str, object]:
    return {}


@pytest.mark.parametrize(
    ("data", "needed"),
    [
        ({}, 240),
        ({"arms": {"slot_seconds": 240}}, None),
        ({"arms": {"holdout": 0.0}}, None),
        ({"flags": {"timeout_ms": 5000}}, None),
        ({"nodes": {"left": {"timeout_ms": 5000}}}, None),
    ],
)
def test_a_limit_that_a_decorator_gives_counts_too(data: dict[str, object], needed: int | None) -> None:
    """Unless the file outranks it."""
    told = list(check_graph(small_graph(patient), ShadowConfig.from_mapping(data)))
    remedies = [finding.remedy for finding in told if "slot of" in finding.text]
    assert remedies == ([f"set [arms] slot_seconds = {needed}, or a shorter limit"] if needed else [])


@pytest.mark.parametrize(
    ("kernel", "severity", "told"),
    [
        (arms.KernelClock(True, 0.004), "ok", "kept in step, right to 0.004 s"),
        (arms.KernelClock(True, 10.0), "ok", "kept in step, right to 10 s"),
        (arms.KernelClock(True, 10.1), "problem", "it may be off by 10 s, more than a sixth of a slot (10 s)"),
        (arms.KernelClock(False, 16.0), "note",
         "the kernel knows of nothing that keeps it in step: it may be off by any time"),
        (None, "note", "whether it is right to 10 s can't be known here"),
    ],
)  # fmt: skip
def test_a_clock_that_is_off_by_a_sixth_of_a_slot_is_told(
    monkeypatch: pytest.MonkeyPatch, kernel: arms.KernelClock | None, severity: str, told: str
) -> None:
    """By what the kernel knows of it; where nothing is known, that is said."""
    monkeypatch.setattr(arms, "kernel_clock", lambda: kernel)
    finding = of("clock", examine())
    assert (str(finding.severity), finding.text) == (severity, told)


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex(2) is Linux's")
def test_the_kernel_is_asked_for_its_clock() -> None:
    """The real system call, as any user: it says something that can be true."""
    known = KERNEL_CLOCK()
    assert known is None or known.most_s >= 0.0


def test_lines_of_the_future_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica whose clock is ahead by more than a sixth of a slot shows in a log that both write."""
    lines = []
    for ahead, clock in ((-100, "system"), (9, "system"), (40, "system"), (400, "simulated")):
        at = (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat()
        lines.append({"event": "SHADOW_V2", "node": "n", "session_id": "s", "slot_seconds": 60, "clock": clock,
                      "timestamp": at})  # fmt: skip
    (tmp_path / "app.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines[:2]))
    assert [finding.text for finding in examine() if finding.subject == "clock"] == ["kept in step, right to 0.004 s"]
    (tmp_path / "app.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    told = [finding.text for finding in examine() if finding.subject == "clock"]
    assert len(told) == 2
    assert re.fullmatch(
        r"executions in app\.log are up to (39|40) s later than this clock: it is off, or that of a replica is", told[1]
    )
