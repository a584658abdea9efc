"""Findings of the doctor: what was checked, what was found, what to do."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from otel_shadow._runtime.code_location import code_file


class Severity(StrEnum):
    """Severity of a finding; only ``PROBLEM`` makes the command fail."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """Result of one check; ``subject`` is what was checked, ``remedy`` is empty where there is nothing to do."""

    severity: Severity
    subject: str
    text: str
    remedy: str = ""


def explained(error: Exception) -> str:
    """Return type, message, file and line of ``error``: for the developer's own terminal, where nothing is hidden."""
    try:
        message = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    except Exception:  # noqa: BLE001 - messages are made by user code
        message = ""
    place = code_file(error)
    where = f" ({os.path.relpath(place[0])}, line {place[1]})" if place is not None else ""
    return f"{type(error).__name__}{': ' if message else ''}{message}{where}"


ok, note, problem = (partial(Finding, severity) for severity in Severity)
