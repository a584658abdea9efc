"""Environments with packages that the tests' own has not, kept outside the clone."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python_with(name: str, packages: Sequence[str]) -> Path:
    """The interpreter of the environment ``name``: what otel-shadow needs, its ``otlp``, and ``packages``."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otel-shadow" / "venvs"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    found = folder / "bin" / "python"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["otlp"], *packages]
    uv = [sys.executable, "-m", "uv"]
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            subprocess.run([*uv, "venv", "-q", "-p", sys.executable, folder], check=True)
        command = [*uv, "pip", "install", "-q", "--python", str(found), *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode and ("error sending request" in done.stderr or "dns error" in done.stderr):
        pytest.skip("the package index can't be reached")
    assert done.returncode == 0, done.stderr[-3000:]
    return found
