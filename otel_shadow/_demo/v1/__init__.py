"""V1: the assistant as it went into production. Frozen: it is the yardstick, fixes go into V2."""

from __future__ import annotations

from otel_shadow._demo.v1.v1_nodes import greeting, information, qualification, scheduling

V1_NODES = {
    "greeting": greeting,
    "qualification": qualification,
    "information": information,
    "scheduling": scheduling,
}
