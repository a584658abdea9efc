"""The debug mode: on a developer's own terminal, exceptions appear with messages and tracebacks, which hold data.

``OTEL_SHADOW_DEBUG=true`` switches it on. It is read once, so that no V2 can; nothing but standard error gets the text.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from functools import cache

from otel_shadow import semconv

DEBUG = os.environ.get(semconv.ENV_DEBUG, "").strip().lower() in ("true", "1", "yes", "on")


def show(what: str, error: object) -> None:
    """Print ``error`` with its traceback and messages to standard error, if the debug mode is on. Never raises.

    Arguments:
        what: what raised it.
    """
    if DEBUG and isinstance(error, BaseException):
        with suppress(Exception):  # messages are made by user code
            _print(f"otel-shadow debug: {what} raised\n{''.join(traceback.format_exception(error))}")


@cache
def announce() -> None:
    """Print once that the debug mode is on, if it is."""
    if DEBUG:
        with suppress(Exception):
            _print(
                f"otel-shadow debug: {semconv.ENV_DEBUG} is on: exceptions appear here with their messages and "
                "tracebacks, which hold personal data if the state does; never set it in production"
            )


def _print(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
