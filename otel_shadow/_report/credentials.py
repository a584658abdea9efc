"""Credentials of endpoints: kept out of what is shown, of what the commands log, and of errors' texts."""

from __future__ import annotations

import logging
import os
import re
from typing import Any
from urllib.parse import unquote, urlsplit

_LOGGERS = ("opentelemetry", "urllib3", "requests", "grpc")
_VARIABLE = re.compile(r"OTEL_EXPORTER_OTLP_(?:(?:TRACES|METRICS|LOGS)_)?(ENDPOINT|HEADERS)")
_SHORTEST = 4
"""Characters of what is taken for a secret: shorter ones stand in any text."""
_HIDDEN = "…"


def shown_address(url: str) -> str:
    """Return the address as it may be shown: credentials stay secret, in whatever part they stand, escaped or not."""
    scheme, mark, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    shown = re.split(r"[?#;]", rest.rpartition("@")[2], maxsplit=1)[0]
    host, slash, path = shown.partition("/")
    name, colon, port = host.rpartition(":")
    if colon and not port.isdigit() and not host.endswith("]"):
        host = name
    return f"{scheme}{mark}{host}{slash}{path}"


def without_credentials(text: str) -> str:
    """Return ``text`` without the credentials that OpenTelemetry's variables hold."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return text


def keep_credentials_from_logs() -> None:
    """Have exporters, which log addresses and what was raised, log no credentials in this process."""
    former = logging.getLogRecordFactory()
    if getattr(former, "keeps_credentials", False):
        return

    def made(*args: Any, **more: Any) -> logging.LogRecord:
        record = former(*args, **more)
        if record.name.startswith(_LOGGERS):
            _hide(record)
        return record

    made.keeps_credentials = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(made)


def _hide(record: logging.LogRecord) -> None:
    message = record.getMessage()
    if (shown := without_credentials(message)) != message:
        record.msg, record.args = shown, None
    if record.exc_info and not record.exc_text:
        record.exc_text = without_credentials(logging.Formatter().formatException(record.exc_info))


def _secrets() -> set[str]:
    found: set[str] = set()
    for name, value in os.environ.items():
        if not (match := _VARIABLE.fullmatch(name)):
            continue
        if match[1] == "HEADERS":
            found.update(item.partition("=")[2].strip() or item.strip() for item in value.split(","))
        else:
            found |= _of_address(value)
    return {one for secret in found for one in (secret, unquote(secret)) if len(one) >= _SHORTEST}


def _of_address(url: str) -> set[str]:
    own, at, _ = url.rpartition("://")[2].rpartition("@")
    try:
        query = urlsplit(url).query
    except ValueError:
        query = url.partition("?")[2]
    return {*(own, own.partition(":")[2] if at else ""), query, *(part.partition("=")[2] for part in query.split("&"))}
