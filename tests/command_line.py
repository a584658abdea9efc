"""``otel-shadow`` in the tests' own process: what a process of its own would print and return, without its start."""

from __future__ import annotations

import io
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from otel_shadow.cli import main


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Done:
    """Run ``otel-shadow`` in a folder. What would be a traceback there is raised here."""
    out, err = io.StringIO(), io.StringIO()
    with (
        chdir(cwd or Path.cwd()), patch.dict(os.environ, {"COLUMNS": "80"} | environment), redirect_stdout(out),
        redirect_stderr(err), pytest.raises(SystemExit) as left,
    ):  # fmt: skip
        main([str(one) for one in arguments])
    assert isinstance(left.value.code, int)
    return Done(left.value.code, out.getvalue(), err.getvalue())
