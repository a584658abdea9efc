"""Whether anybody reads the attributes of a span when it starts: to give them there costs V1's path a fifth of a span.

Head samplers by attribute do, and processors of an application's or a vendor's. The SDK's own samplers look at trace
id and parent, its own processors at the span that has ended.
"""

from __future__ import annotations

from typing import Any

_SDK, _SAMPLERS, _EXPORT = (
    "opentelemetry.sdk.trace",
    "opentelemetry.sdk.trace.sampling",
    "opentelemetry.sdk.trace.export",
)
_BLIND = ("StaticSampler", "TraceIdRatioBased")
_BY_PARENT = ("ParentBased", "ParentBasedTraceIdRatio")
_PROCESSORS = ("BatchSpanProcessor", "SimpleSpanProcessor")


def reads_at_start(provider: Any) -> bool:
    """Return whether anything in ``provider`` may read attributes when a span starts; True where that is not known."""
    try:
        if not _is(provider, _SDK, ("TracerProvider",)):
            return True
        processors = provider._active_span_processor._span_processors
        return _may_read(provider.sampler) or not all(_is(one, _EXPORT, _PROCESSORS) for one in processors)
    except Exception:  # noqa: BLE001 - another release's provider
        return True


def _may_read(sampler: Any) -> bool:
    if _is(sampler, _SAMPLERS, _BY_PARENT):
        return any(map(_may_read, vars(sampler).values()))
    return not _is(sampler, _SAMPLERS, _BLIND)


def _is(one: Any, module: str, names: tuple[str, ...]) -> bool:
    return type(one).__module__ == module and type(one).__name__ in names
