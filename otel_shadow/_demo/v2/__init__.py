"""V2: the rewrite. Each node is a pipeline around a pure business node."""

from __future__ import annotations

from otel_shadow._demo.v2.nodes import V2_NODES
from otel_shadow._demo.v2.pipeline import build_nodes, pipeline
from otel_shadow._demo.v2.thresholds import Thresholds

__all__ = ["V2_NODES", "Thresholds", "build_nodes", "pipeline"]
