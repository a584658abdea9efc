"""V2: the rewrite. Each node is a pipeline around a pure business node; `shadow.toml` names them as attributes here."""

from __future__ import annotations

from otel_shadow._demo.v2.pipeline import build_nodes, pipeline
from otel_shadow._demo.v2.thresholds import Thresholds

V2_NODES = build_nodes()

greeting = V2_NODES["greeting"]
qualification = V2_NODES["qualification"]
information = V2_NODES["information"]
scheduling = V2_NODES["scheduling"]

__all__ = ["V2_NODES", "Thresholds", "build_nodes", "pipeline"]
