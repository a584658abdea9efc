"""V2's four nodes with their default thresholds, importable by name: `otel_shadow._demo.v2.nodes:greeting`."""

from __future__ import annotations

from otel_shadow._demo.v2.pipeline import build_nodes

V2_NODES = build_nodes()

greeting = V2_NODES["greeting"]
qualification = V2_NODES["qualification"]
information = V2_NODES["information"]
scheduling = V2_NODES["scheduling"]
