"""V2's business nodes: pure functions that read the state, extract, and write their own fields and an outbox."""

from __future__ import annotations

from otel_shadow._demo.v2.business.greeting import greeting
from otel_shadow._demo.v2.business.information import information
from otel_shadow._demo.v2.business.qualification import qualification
from otel_shadow._demo.v2.business.scheduling import scheduling

__all__ = ["greeting", "information", "qualification", "scheduling"]
