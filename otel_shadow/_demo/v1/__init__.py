"""V1: the assistant as it went into production. Frozen: it is the yardstick, fixes go into V2.

One function per node; each extracts with regular expressions and keywords, decides and answers in one go.
"""

from __future__ import annotations

from otel_shadow._demo.v1.greeting import greeting
from otel_shadow._demo.v1.information import information
from otel_shadow._demo.v1.qualification import qualification
from otel_shadow._demo.v1.scheduling import scheduling

V1_NODES = {
    "greeting": greeting,
    "qualification": qualification,
    "information": information,
    "scheduling": scheduling,
}

__all__ = ["V1_NODES", "greeting", "information", "qualification", "scheduling"]
