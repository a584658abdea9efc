"""The lines of log files: plain or gzip, globs expanded."""

from __future__ import annotations

import glob
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path

from otel_shadow.errors import EvidenceError


def read_lines(sources: Sequence[str]) -> Iterator[bytes]:
    """Every line of every file, as bytes.

    Arguments:
        sources: files (``.gz`` is unpacked) and globs.

    Raises:
        EvidenceError: a source is missing, a folder, or can't be read.
    """
    for path in _files(sources):
        try:
            with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
                yield from file
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise EvidenceError(f"{path}: can't be read ({reason}); expected a log file, plain or .gz") from None


def _files(sources: Sequence[str]) -> list[Path]:
    found: dict[Path, None] = {}
    for source in sources:
        names = [source] if Path(source).exists() else sorted(glob.glob(source, recursive=True))
        if not names:
            raise EvidenceError(f"{source}: no such file; name the log files that OTEL_SHADOW_LOG_FILE wrote")
        found |= dict.fromkeys(Path(name) for name in names)
    return list(found)
