"""The readers, fed by atheris, which looks for bytes that reach new branches: nothing but our complaint is raised."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from recorded import beats, log

from otel_shadow.evidence import read, save

ROOT = Path(__file__).resolve().parents[2]
RUNS = 10 * int(os.environ.get("OTEL_SHADOW_FUZZ_EXAMPLES", "150"))


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it is made for Linux and macOS, Python 3.11 to 3.13 (uv pip install atheris)",
)
@pytest.mark.parametrize("what", ["lines", "facts"])
def test_bytes_that_are_guided_by_what_they_reach(tmp_path: Path, what: str) -> None:
    """From lines and from a saved summary of our own on."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    content = [*log(4), *beats(3)]
    (tmp_path / "app.log").write_bytes(b"".join(content))
    save(read([str(tmp_path / "app.log")]), tmp_path / "saved.npz")
    with np.load(tmp_path / "saved.npz") as saved:
        seeds = content if what == "lines" else [saved["facts"].tobytes()]
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    command = [sys.executable, str(Path(__file__).with_name("fuzz_target.py")), what, str(corpus)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "FUZZ_SUMMARY": str(tmp_path / "saved.npz")}
    done = subprocess.run(
        [*command, f"-atheris_runs={RUNS}", "-max_len=20000"], cwd=tmp_path, env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert f"Done {RUNS} " in done.stderr
