"""Addresses as they may be shown: in output, logs and tickets."""

from __future__ import annotations

import re


def shown_address(url: str) -> str:
    """Return the address as it may be shown: credentials stay secret, in whatever part they stand, escaped or not."""
    scheme, mark, rest = url.rpartition("://") if url.count("://") == 1 else ("", "", url)
    shown = re.split(r"[?#;]", rest.rpartition("@")[2], maxsplit=1)[0]
    host, slash, path = shown.partition("/")
    name, colon, port = host.rpartition(":")
    if colon and not port.isdigit() and not host.endswith("]"):
        host = name
    return f"{scheme}{mark}{host}{slash}{path}"
