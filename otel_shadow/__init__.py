"""Run rewritten LangGraph nodes (V2) in shadow beside production (V1), and know when they may go live.

Importing this package is light: LangGraph and the analysis are imported by what needs them, when it needs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_shadow import _moved

_moved.install()

if TYPE_CHECKING:
    from otel_shadow._api.decorator import with_shadow_v2
    from otel_shadow._api.instrumentor import ShadowInstrumentor
    from otel_shadow._api.manager import ShadowTrafficManager
    from otel_shadow._api.middleware import ShadowIntegrationMiddleware
    from otel_shadow._runtime.shadow_context import is_shadow
    from otel_shadow._runtime.side_effects import side_effect
    from otel_shadow._runtime.sinks import Sink
    from otel_shadow.config import ShadowConfig
    from otel_shadow.errors import ConfigError, EvidenceError, MissingExtraError, ShadowError, SideEffectBlockedError
    from otel_shadow.flags import FeatureFlags, FlagSource
    from otel_shadow.record import Arm, Comparison, Mode, Observation, Outcome, ShadowRecord, Status

_HOMES = {
    "Arm": "record",
    "Comparison": "record",
    "ConfigError": "errors",
    "EvidenceError": "errors",
    "FeatureFlags": "flags",
    "FlagSource": "flags",
    "MissingExtraError": "errors",
    "Mode": "record",
    "Observation": "record",
    "Outcome": "record",
    "ShadowConfig": "config",
    "ShadowError": "errors",
    "ShadowInstrumentor": "_api.instrumentor",
    "ShadowIntegrationMiddleware": "_api.middleware",
    "ShadowRecord": "record",
    "ShadowTrafficManager": "_api.manager",
    "SideEffectBlockedError": "errors",
    "Sink": "_runtime.sinks",
    "Status": "record",
    "is_shadow": "_runtime.shadow_context",
    "side_effect": "_runtime.side_effects",
    "with_shadow_v2": "_api.decorator",
}

__all__ = [
    "Arm",
    "Comparison",
    "ConfigError",
    "EvidenceError",
    "FeatureFlags",
    "FlagSource",
    "MissingExtraError",
    "Mode",
    "Observation",
    "Outcome",
    "ShadowConfig",
    "ShadowError",
    "ShadowInstrumentor",
    "ShadowIntegrationMiddleware",
    "ShadowRecord",
    "ShadowTrafficManager",
    "SideEffectBlockedError",
    "Sink",
    "Status",
    "is_shadow",
    "side_effect",
    "with_shadow_v2",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
