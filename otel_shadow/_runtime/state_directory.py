"""State that outlives restarts: small files in a folder of the user's own, with names, builds and times only.

The folder is ``OTEL_SHADOW_STATE_DIR``, else ``$XDG_STATE_HOME/otel-shadow``, else ``~/.local/state/otel-shadow``. It
belongs to the user, has mode 0700, and no link in it is followed: what lies there decides what runs beside production.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._runtime.background_log import say

_LARGEST = 4096


def state_path() -> Path:
    """Return the path of the folder, whether it exists or not."""
    if named := os.environ.get(semconv.ENV_STATE_DIR):
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "otel-shadow"


class StateDirectory:
    """A folder of JSON files. Where it can't be used, everything is kept in memory only, and that is said once.

    Arguments:
        path: the folder; it is made when something is first written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_path()
        self._said = False

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what was written as ``name``; None where there is nothing that can be trusted."""
        try:
            with self._folder(make=False) as folder:
                return _read(folder, name)
        except (OSError, ValueError):
            return None

    def write(self, name: str, content: Mapping[str, Any]) -> bool:
        """Write ``content`` as ``name``, all or nothing, and return whether it lies there now."""
        data = json.dumps(content, sort_keys=True).encode()
        try:
            with self._folder(make=True) as folder:
                _write(folder, name, data)
        except OSError as error:
            if not self._said:
                self._said = True
                say(
                    logging.WARNING,
                    "the state directory can't be used (%s); what must outlive a restart is kept in memory only: "
                    "set %s to a folder of mode 0700 that belongs to this user",
                    error.strerror or type(error).__name__,
                    semconv.ENV_STATE_DIR,
                )
            return False
        return True

    def entries(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the name and content of every file that can be trusted."""
        try:
            with self._folder(make=False) as folder:
                names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
        except OSError:
            return []
        found = ((name, self.read(name)) for name in names)
        return [(name, content) for name, content in found if content is not None]

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock ``name``, which all processes of this user on this host share; waits for it.

        Raises:
            OSError: the folder can't be used.
        """
        import fcntl

        with self._folder(make=True) as folder:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _folder(self, *, make: bool) -> Iterator[int]:
        if make:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            told = os.fstat(folder)
            if told.st_uid != os.geteuid() or stat.S_IMODE(told.st_mode) & 0o077:
                raise PermissionError(1, "it belongs to another user, or others may enter it")
            yield folder
        finally:
            os.close(folder)


def _read(folder: int, name: str) -> dict[str, Any] | None:
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(handle, "rb") as file:
        told = os.fstat(handle)
        if not stat.S_ISREG(told.st_mode) or told.st_uid != os.geteuid():
            return None
        content = json.loads(file.read(_LARGEST))
    return content if isinstance(content, dict) else None


def _write(folder: int, name: str, data: bytes) -> None:
    draft = f".{name}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
    os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
