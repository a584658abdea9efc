"""``otel-shadow verdict`` as users run it: a process, real log lines in, an exit code and clean streams out."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import command_line
import pytest
import sample_evidence

ROOT = Path(__file__).parents[2]
AT = ("--at", "2025-01-11T05:00:00Z")
POLICY = '[sla]\nmax_turns = 1\nintents = ["enrol", "price", "schedule"]\n'
GO = replace(sample_evidence.GO, sessions=6000, holdout=0.3, spread=0.2, nodes=("greeting", "qualification"))


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "otel_shadow.cli", "verdict", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_SHADOW_", "COLUMNS"))}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str | Path, cwd: Path) -> command_line.Done:
    return command_line.run("verdict", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of a GO, a NO-GO and a WAIT, and a policy."""
    path = tmp_path_factory.mktemp("evidence")
    sample_evidence.write(path / "go.log", GO)
    sample_evidence.write(path / "no-go.log", replace(sample_evidence.NO_GO, sessions=1200))
    sample_evidence.write(path / "wait.log", sample_evidence.WAIT)
    (path / "policy.toml").write_text(POLICY, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "code"), [("go", 0), ("no-go", 1), ("wait", 3)])
def test_each_verdict_has_its_exit_code(folder: Path, name: str, code: int) -> None:
    """0 GO, 1 NO-GO, 3 WAIT; the word comes first, standard error stays empty. (In processes of their own.)"""
    done = subprocess.run(
        command(f"{name}.log", "--config", "policy.toml", *AT),
        capture_output=True, text=True, cwd=folder, env=environment(), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split(maxsplit=1)[0], done.stderr) == (code, name.upper(), "")


def test_json_is_all_there_is_on_standard_output(folder: Path) -> None:
    """One document, with the same exit code inside and outside, and what was read."""
    done = run("no-go.log", "--json", *AT, cwd=folder)
    found = json.loads(done.stdout)
    assert (found["exit_code"], found["decision"]) == (done.returncode, "NO-GO")
    assert found["evidence"]["reading"]["used"] == 4800
    assert {node["node"] for node in found["nodes"]} == {"greeting", "qualification", "information", "scheduling"}


def test_the_page_is_written_beside_the_verdict(folder: Path) -> None:
    """--html writes the page, the verdict is printed all the same."""
    done = run("wait.log", "--html", "page.html", "--trace-url", "http://tempo/{trace_id}", *AT, cwd=folder)
    assert done.stdout.startswith("WAIT")
    assert "<title>WAIT" in (folder / "page.html").read_text(encoding="utf-8")


def test_a_saved_summary_is_a_source_like_any(folder: Path, tmp_path: Path) -> None:
    """Two halves, one of them gzip, saved and read again give the numbers of the whole."""
    lines = (folder / "no-go.log").read_bytes().splitlines(keepends=True)
    (tmp_path / "one.log").write_bytes(b"".join(lines[:3000]))
    (tmp_path / "two.log.gz").write_bytes(gzip.compress(b"".join(lines[3000:])))
    run("one.log", "--save", "one.summary", *AT, cwd=tmp_path)
    run("two.log.gz", "--save", "two.summary", *AT, cwd=tmp_path)
    merged = json.loads(run("*.summary", "--json", *AT, cwd=tmp_path).stdout)
    whole = json.loads(run(folder / "no-go.log", "--json", *AT, cwd=tmp_path).stdout)
    assert merged["criteria"] == whole["criteria"]
    twice = json.loads(run("one.summary", "one.log", "two.log.gz", "--json", *AT, cwd=tmp_path).stdout)
    assert twice["criteria"] == whole["criteria"]


def test_another_build_is_judged_when_asked(folder: Path, tmp_path: Path) -> None:
    """--build picks one of several builds and names the others; an unknown one is an error that lists them."""
    old = sample_evidence.write(
        tmp_path / "old.log", replace(sample_evidence.NO_GO, sessions=600, build="2.3.9", seed=1)
    )
    sources = (old, folder / "wait.log")
    found = json.loads(run(*sources, "--json", "--build", "2.3.9", *AT, cwd=tmp_path).stdout)
    assert (found["build"]["build"], [one["build"] for one in found["left_out"]]) == ("2.3.9", ["2.4.0"])
    unknown = run(*sources, "--build", "9", *AT, cwd=tmp_path)
    assert unknown.returncode == 2
    assert unknown.stderr == "otel-shadow: --build 9: no evidence of this V2 build; found: '2.3.9', '2.4.0'\n"


BAD = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "folder": lambda path: path.mkdir(),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 64),
    "no-lines-of-ours": lambda path: path.write_text("INFO started\n" * 5, encoding="utf-8"),
    "half-a-gzip": lambda path: path.write_bytes(gzip.compress(b"INFO started\n" * 500)[:40]),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_source_that_cant_be_read_is_one_clear_line(kind: str, tmp_path: Path) -> None:
    """Exit code 2, one line on standard error that names the file, nothing on standard output."""
    BAD[kind](tmp_path / "app.log")
    done = run("app.log", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("otel-shadow: ")
    assert "app.log" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_skipped_is_counted(folder: Path, tmp_path: Path) -> None:
    """A truncated last line, a malformed one and one of another schema are told with their numbers."""
    text = (folder / "wait.log").read_text(encoding="utf-8").splitlines(keepends=True)
    ours = next(line for line in text if '"SHADOW_V2"' in line)
    broken = ours[:200] + "\n"
    other = ours.replace('"schema":2', '"schema":99').replace('"pair_id":"', '"pair_id":"x')
    (tmp_path / "app.log").write_text("".join([*text, broken, other, ours[:300]]), encoding="utf-8")
    done = run("app.log", *AT, cwd=tmp_path)
    assert done.returncode == 3
    told = " ".join(done.stdout.split())
    assert "Malformed lines 1 " in told
    assert "Truncated last lines 1 " in told
    assert "Lines of another schema 1 schema 99: 1" in told
    reading = json.loads(run("app.log", "--json", *AT, cwd=tmp_path).stdout)["evidence"]["reading"]
    assert (reading["malformed"], reading["truncated"], reading["other_schema"]) == (1, 1, {"99": 1})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--at", "yesterday"], "expected ISO 8601"),
        (["--trace-url", "tempo/"], "{trace_id} once"),
        (["--trace-url", "http://tempo/{trace_id}"], "--trace-url: links stand on the page; name it with --html FILE"),
        (["--html", "missing/page.html"], "missing/page.html: can't be written"),
        (["--save", "missing/summary"], "missing/summary: can't be written"),
        (["--config", "missing.toml"], "missing.toml: no such file"),
        (["--config", "bad.toml"], "bad.toml: sla.parity: got 95"),
        (["--surprise"], "No such option"),
    ],
)
def test_wrong_usage_says_what_is_expected(arguments: list[str], expected: str, folder: Path) -> None:
    """Exit code 2, the remedy on standard error, nothing on standard output."""
    (folder / "bad.toml").write_text("[sla]\nparity = 95\n", encoding="utf-8")
    done = run("wait.log", *AT, *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_goes_away_is_no_error(folder: Path, form: tuple[str, ...]) -> None:
    """``| head -1``: quiet, and neither GO nor NO-GO by accident."""
    process = subprocess.Popen(
        command("no-go.log", *form, *AT),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(60) == 141


@pytest.mark.parametrize("module", ["numpy", "duckdb", "matplotlib", "jinja2"])
def test_a_missing_extra_is_answered_with_its_pip_line(module: str, folder: Path) -> None:
    """Exit code 2 and the exact line, whichever part is missing."""
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "import otel_shadow.cli as cli\n"
        "cli.main(['verdict', 'no-go.log', '--html', 'missing-extra.html'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=environment(), check=False
    )
    line = f"otel-shadow: {module} is not installed: pip install 'otel-shadow[analysis]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    """An interrupted run leaves no traceback and exits with 130."""
    code = (
        "import signal, time, otel_shadow.cli as cli, otel_shadow._report.verdict_command as command\n"
        # a shell that starts us in the background has us ignore Ctrl-C
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def wait(**_):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "command.judge = wait\n"
        "cli.main(['verdict', 'app.log'])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors.strip()) == (130, b"")


def test_colours_and_progress_are_for_terminals(folder: Path) -> None:
    """On a terminal the verdict is coloured; piped it was plain in the tests above."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        command("wait.log", *AT), stdout=follower, stderr=follower, cwd=folder, env=environment(TERM="xterm-256color")
    )
    os.close(follower)
    told = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while piece := os.read(leader, 65536):
            told += piece
    os.close(leader)
    assert process.wait(60) == 3
    assert b"\x1b[" in told


def test_a_watch_waits_for_its_file_and_reads_what_is_added(folder: Path, tmp_path: Path) -> None:
    """A line when the verdict changes: no file yet, half of the evidence, all of it; SIGTERM ends it with its code."""
    lines = (folder / "no-go.log").read_text(encoding="utf-8").splitlines(keepends=True)
    arguments = ("app.log", "--watch", "--every", "1", "--config", folder / "policy.toml")
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment()
    )
    assert process.stdout is not None
    try:
        assert "no verdict yet: app.log" in process.stdout.readline()
        with (tmp_path / "app.log").open("a", encoding="utf-8") as log:
            log.writelines(lines[:200])
            log.flush()
            assert " WAIT " in process.stdout.readline()
            log.writelines(lines[200:])
        while " NO-GO " not in (line := process.stdout.readline()):
            assert line, "it has ended"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 1
    finally:
        process.kill()
        _, errors = process.communicate()
    assert errors == ""


def test_a_watch_makes_no_links(folder: Path) -> None:
    """A watch draws no page: --trace-url would have no effect, and is refused."""
    done = run("wait.log", "--watch", "--trace-url", "http://tempo/{trace_id}", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--trace-url: not together with --watch" in done.stderr


SIGNALLED = """
import signal, sys, threading, time
from otel_shadow.cli import main

MAIN = threading.main_thread().ident

def place():
    frame = sys._current_frames()[MAIN]
    return frame.f_code, frame.f_lasti

def stands_still():
    before = place()
    time.sleep(0.2)
    return place() == before

def send():  # after a line on standard input, to this thread: no system call of the main thread is interrupted
    sys.stdin.readline()
    while not stands_still():
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

threading.Thread(target=send, daemon=True).start()
main(sys.argv[1:])
"""


def test_a_signal_ends_a_watch_that_sleeps(folder: Path) -> None:
    """A signal that does not interrupt the long sleep (it came just before, or in another thread) ends it at once."""
    arguments = ("verdict", "no-go.log", "--watch", "--every", "80000", "--config", "policy.toml")
    process = subprocess.Popen(
        [sys.executable, "-c", SIGNALLED, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=folder, env=environment(),
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert " NO-GO " in process.stdout.readline()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(60) == 1
    finally:
        process.kill()
        _, errors = process.communicate()
    assert errors == ""
