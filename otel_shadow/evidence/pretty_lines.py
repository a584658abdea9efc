"""Objects that stand over several lines, as ``jq .`` prints them: put back on one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_INSIDE = re.compile(r'^[ \t]+"[^\n]*SHADOW_', re.MULTILINE)
"""A key or a text of an object over several lines: ours itself, or one that a shipper put it into."""
_LARGEST = 64 << 20
"""Bytes of an object; what has not ended by then is no object."""


def looks_pretty(head: str) -> bool:
    """Return whether the beginning of a file has objects of otel-shadow over several lines."""
    return bool(_INSIDE.search(head))


def joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each object (or list) that begins and ends at the margin as one line, other lines as they are.

    What is inside is indented: a bracket that an application prints by itself swallows nothing.
    """
    held: list[bytes] = []
    end, size = b"", 0
    for line in lines:
        bare = line.rstrip()
        if held and bare[:1] not in (b"", b" ", b"\t") and bare not in (end, end + b","):
            yield from (part + b"\n" for part in held)
            held = []
        if not held:
            if bare in (b"{", b"["):
                held, size, end = [bare], 1, b"}" if bare == b"{" else b"]"
            else:
                yield line
            continue
        held.append(line.strip())
        size += len(line)
        if bare in (end, end + b",") or size > _LARGEST:
            yield b" ".join(held) + b"\n"
            held = []
    if held:
        yield b" ".join(held)
