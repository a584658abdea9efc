"""What is registered for forks and for the process's end happens there, once, and is forgotten with its object."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

import otel_shadow
from otel_shadow._runtime.process_lifecycle import at_exit, cancel_at_exit, on_fork

PACKAGE = Path(otel_shadow.__file__).parent

FORKING = """
import os
from otel_shadow._runtime.process_lifecycle import on_fork

class Told:
    def __init__(self, name, fails=False):
        self.name, self.fails = name, fails
        on_fork(self.reset)
    def reset(self):
        if self.fails:
            raise ValueError(self.name)
        os.write(1, f"{self.name} in the child\\n".encode())

first, second, third = Told("first"), Told("second", fails=True), Told("third")
if (child := os.fork()) == 0:
    os._exit(0)
os.waitpid(child, 0)
os.write(1, b"parent goes on\\n")
"""

ENDING = """
import atexit, os
from otel_shadow._runtime.process_lifecycle import at_exit, cancel_at_exit

def end(name):
    return lambda: os.write(1, f"{name}\\n".encode())

def ours():
    cancel_at_exit(ours)
    os.write(1, b"ours\\n")

cancelled = end("cancelled")
atexit.register(end("the application's"))
at_exit(ours)
at_exit(cancelled)
cancel_at_exit(cancelled)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)


def test_methods_are_called_in_the_child_in_their_order() -> None:
    """One that fails is printed, and the others still have their turn."""
    done = run(FORKING)
    assert done.stdout.splitlines() == ["first in the child", "third in the child", "parent goes on"]
    assert "ValueError: second" in done.stderr


def test_a_registration_ends_with_its_object() -> None:
    """The registry keeps nothing alive."""

    class Owner:
        def reset(self) -> None:
            os.write(2, b"the dead was called")

    owner = Owner()
    on_fork(owner.reset)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_only_a_bound_method_can_be_registered() -> None:
    """A function has no object whose life ends its registration."""
    with pytest.raises(TypeError, match="a bound method is needed"):
        on_fork(lambda: None)


def test_the_end_of_a_process_comes_before_what_was_registered_earlier() -> None:
    """Telemetry that an application set up before us is still there when we flush; what was cancelled is not called."""
    assert run(ENDING).stdout.splitlines() == ["ours", "the application's"]


def test_cancelling_what_is_not_registered_does_nothing() -> None:
    """A manager may be shut down twice."""

    def end() -> None:
        raise AssertionError

    at_exit(end)
    cancel_at_exit(end)
    cancel_at_exit(end)


def test_there_is_one_hook_for_forks() -> None:
    """Everything else in the package registers with it."""
    hooked = [path.name for path in PACKAGE.rglob("*.py") if "register_at_fork(" in path.read_text("utf-8")]
    assert hooked == ["process_lifecycle.py"]
