"""Files that a command writes: none of them may be one that it reads, or another that it writes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from otel_shadow.config import DEFAULT_FILE, named_file
from otel_shadow.errors import EvidenceError
from otel_shadow.evidence.sources import matching


def keep_sources(
    sources: Sequence[str], outputs: Mapping[str, Path | None], *, read: Sequence[Path | None] = ()
) -> None:
    """Check that no output replaces a source, another file that is read, or another output.

    Arguments:
        sources: paths and globs, as the command was given them.
        read: the other files; None where one was not given. The configuration is one of them in any case.
        outputs: by the option that names each; None where it was not given.

    Raises:
        EvidenceError: one does; nothing was written.
    """
    taken: dict[str, str] = {}
    for name in sources:
        try:
            found = matching(name)
        except EvidenceError:
            continue  # the reader says so
        taken.update({_identity(path): f"the source {path}" for path in found})
    configured = Path(named_file(None) or DEFAULT_FILE)
    taken.update({_identity(path): f"{path}, which is read" for path in (configured, *read) if path is not None})
    for option, path in outputs.items():
        if path is None:
            continue
        identity = _identity(path)
        if identity in taken:
            raise EvidenceError(f"{option} {path}: would replace {taken[identity]}; name another file")
        taken[identity] = f"what {option} writes"


def _identity(path: Path) -> str:
    """Return what is the same for all names of a file, also of one that is not there yet."""
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path)
    return f"{status.st_dev}:{status.st_ino}"
