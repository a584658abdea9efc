"""What atheris calls with bytes that it makes up, guided by the branches they reach: ``python fuzz_target.py WHAT …``.

``lines``: a log is read, without a key and with one. ``facts``: a saved summary has these words in it. The arguments
behind it are libFuzzer's; a corpus is a folder. Whatever is raised but an ``EvidenceError`` ends it with a traceback.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress

import atheris
import numpy as np

with atheris.instrument_imports(include=["otel_shadow.evidence", "otel_shadow.line_code"]):
    from otel_shadow.errors import EvidenceError
    from otel_shadow.evidence import load, view_of
    from otel_shadow.evidence.line_reader import LineReader
    from otel_shadow.evidence.pretty_lines import joined
    from otel_shadow.evidence.summary_builder import SummaryBuilder
    from otel_shadow.line_code import derived_key
from otel_shadow._report.verdict_command import json_text
from otel_shadow.verdict import Summary, evaluate

KEY = derived_key(b"k" * 32)


def lines(data: bytes) -> None:
    """Read ``data`` as a log."""
    for key in (None, KEY):
        builder = SummaryBuilder()
        reader = LineReader(builder.add, "app.log", verify_key=key, beat=builder.add_beat)
        for number, line in enumerate(joined(io.BytesIO(data)), start=1):
            reader.line(line, f"app.log, line {number}")
        judged(builder.summary(reader.reading()))


def facts(data: bytes) -> None:
    """Read a saved summary whose facts are ``data``: the columns are those of the summary in ``FUZZ_SUMMARY``."""
    with tempfile.NamedTemporaryFile(suffix=".npz") as file, suppress(EvidenceError):
        np.savez(file, facts=np.frombuffer(data, np.uint8), **COLUMNS)
        file.flush()
        judged(load(file.name))


def judged(summary: Summary) -> None:
    verdict = evaluate(summary)
    json_text(verdict, view_of(summary, verdict)).encode()


COLUMNS = {}
if path := os.environ.get("FUZZ_SUMMARY"):
    with np.load(path) as saved:
        COLUMNS = {name: saved[name] for name in saved.files if name != "facts"}
TARGETS: dict[str, Callable[[bytes], None]] = {"lines": lines, "facts": facts}

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
