"""Programs in processes of their own that need not import LangGraph each: they are forked from one that has.

What is forked has imported other people's modules, none of ours and no test, and runs no thread. A program then ends
as any other does: its threads, ``atexit`` and the end of the interpreter are its own. Where the start of an
interpreter is what is tested, take ``subprocess``.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_MODULES = (
    "asyncio", "concurrent.futures.thread", "langgraph.graph", "langgraph.func", "langgraph.checkpoint.memory",
    "langgraph.store.memory", "opentelemetry.instrumentation.instrumentor", "pydantic_settings", "click",
)  # fmt: skip
_FORKING = """
import importlib, json, os, signal, sys
for name in MODULES:
    importlib.import_module(name)
assert len(os.listdir("/proc/self/task")) == 1
print("ready", flush=True)
for line in sys.stdin:
    program = json.loads(line)
    if not (child := os.fork()):
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    os._exit(0)
for number, path in enumerate([os.devnull, program["stdout"], program["stderr"]]):
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.dup2(opened, number)
    os.close(opened)
signal.alarm(program["timeout"])
os.chdir(program["cwd"])
os.environ.clear()
os.environ.update(program["environment"])
sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
sys.argv = program["argv"]
__file__ = sys.argv[0]
exec(compile(program["code"], __file__, "exec"), globals())
"""


@cache
def _forking(warnings: str) -> subprocess.Popen[str]:
    """Start what is forked, with ``PYTHONWARNINGS``, for the interpreter reads that at its start."""
    code, environment = f"MODULES = {_MODULES!r}\n{_FORKING}", {**os.environ, "PYTHONWARNINGS": warnings}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    atexit.register(process.communicate)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def run(
    code: str, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None, timeout: int = 300
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a process of its own.

    Arguments:
        arguments: ``sys.argv``; the first is ``__file__``, too.
        environment: default: this process's. Of what the interpreter reads, ``PYTHONPATH`` and ``PYTHONWARNINGS``
            count.
        timeout: seconds until a signal ends the process.
    """
    wanted = dict(os.environ if environment is None else environment)
    process = _forking(wanted.get("PYTHONWARNINGS", ""))
    assert process.stdin is not None
    assert process.stdout is not None
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        program = {
            "code": code, "argv": arguments or ["-c"], "cwd": str(cwd), "timeout": timeout,
            "environment": wanted,
            "stdout": str(out), "stderr": str(err),
        }  # fmt: skip
        process.stdin.write(json.dumps(program) + "\n")
        process.stdin.flush()
        ended = int(process.stdout.readline())
        return subprocess.CompletedProcess([*arguments], ended, out.read_text(), err.read_text())
