"""Findings of the doctor: what was checked, what was found, what to do."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import NamedTuple


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


ok, note, problem = (partial(Finding, severity) for severity in Severity)
