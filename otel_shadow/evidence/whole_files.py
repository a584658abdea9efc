"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from otel_shadow.errors import EvidenceError


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``path`` at once: a reader sees the old file or the new one, never half of one.

    Raises:
        EvidenceError: it can't be written, or ``path`` is a device, a pipe or a directory: root could replace it.
    """
    place = Path(path)
    beside = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    try:
        if place.exists() and not place.is_file():
            raise EvidenceError(f"{path}: is no regular file, and would be replaced; name a file")
        with beside.open("xb") as out:  # "x": never write into what another process put there
            out.write(data)
        beside.replace(place)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        reason = error.strerror or type(error).__name__
        raise EvidenceError(f"{path}: can't be written ({reason}); name a file in a folder you may write") from None
