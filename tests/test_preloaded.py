"""A forked program tells as much of its end as one that was started."""

from __future__ import annotations

import signal
from pathlib import Path

import preloaded


def test_each_end_is_told(tmp_path: Path) -> None:
    """A crash, an exit code, a traceback, a warning at the interpreter's end; the next program starts afresh."""
    crashed = preloaded.run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", cwd=tmp_path)
    assert crashed.returncode == -signal.SIGSEGV
    left = preloaded.run("import sys; print(sys.argv, __name__); left = 1; sys.exit(3)", "me.py", "two", cwd=tmp_path)
    assert (left.returncode, left.stdout, left.stderr) == (3, "['me.py', 'two'] __main__\n", "")
    raised = preloaded.run("print(left)", cwd=tmp_path)
    assert raised.returncode == 1
    assert raised.stderr.endswith("NameError: name 'left' is not defined\n")
    warns = {"PYTHONWARNINGS": "default::ResourceWarning"}
    warned = preloaded.run("kept = open('made', 'w')", cwd=tmp_path, environment=warns)
    assert "ResourceWarning: unclosed file" in warned.stderr
    assert (tmp_path / "made").exists()


def test_nothing_of_ours_is_there_before_a_program_imports_it(tmp_path: Path) -> None:
    """Other people's modules are; the environment is the program's own."""
    code = "import os, sys; print([name for name in sys.modules if 'otel_shadow' in name], dict(os.environ))"
    assert preloaded.run(code, cwd=tmp_path, environment={"A": "b"}).stdout == "[] {'A': 'b'}\n"


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its time, by a signal."""
    assert preloaded.run("import time; time.sleep(3600)", cwd=tmp_path, timeout=1).returncode == -signal.SIGALRM
