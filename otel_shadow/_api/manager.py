"""Puts the parts together: a manager with OpenTelemetry's three signals, and the one that this process shares."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import time
from typing import Any

from otel_shadow._runtime.manager import ShadowTrafficManager
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.sinks import Sink
from otel_shadow._telemetry.log_events import LogEventSink
from otel_shadow._telemetry.log_file import LogFileSink
from otel_shadow._telemetry.metrics import MetricsSink
from otel_shadow._telemetry.spans import OtelSpans
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FeatureFlags, FlagSource
from otel_shadow.record import ShadowRecord


class WhileLogging(Sink):
    """Passes records on while ``SHADOW_LOGGING`` is on."""

    def __init__(self, flags: FlagSource, inner: Sink) -> None:
        self._flags = flags
        self._inner = inner

    def emit(self, record: ShadowRecord) -> None:
        """Emit ``record`` if logging is on."""
        if self._flags.current.shadow_logging:
            self._inner.emit(record)


def build_manager(
    config: ShadowConfig | None = None,
    flags: FlagSource | None = None,
    *,
    tracer_provider: Any = None,
    meter_provider: Any = None,
    logger_provider: Any = None,
    log_file: str | None = None,
    sinks: Sequence[Sink] = (),
    redactor: Redactor | None = None,
    clock: Callable[[], float] = time,
    clock_name: str = "system",
    executor: Executor | None = None,
) -> ShadowTrafficManager:
    """A manager with spans, metrics, log events and log lines.

    Arguments:
        config: default: found by :meth:`ShadowConfig.load`.
        flags: default: environment, then ``[flags]``.
        tracer_provider: and the other providers: default the global ones, also when set later.
        log_file: where lines go; default ``OTEL_SHADOW_LOG_FILE``, else standard error.
        sinks: further sinks.
        executor: threads of yours for V2s that block, instead of ours.

    Raises:
        ConfigError: configuration or flags are wrong.
        OSError: the log file can't be opened.
    """
    config = config if config is not None else ShadowConfig.load()
    source: FlagSource = flags or FeatureFlags.resolve(config.flags)
    metrics = MetricsSink(meter_provider)
    manager = ShadowTrafficManager(
        config,
        source,
        sinks=[
            metrics,
            WhileLogging(source, LogEventSink(logger_provider)),
            WhileLogging(source, LogFileSink(log_file)),
            *sinks,
        ],
        spans=OtelSpans(tracer_provider, suppress=config.privacy.suppress_instrumentation),
        redactor=redactor,
        clock=clock,
        clock_name=clock_name,
        executor=executor,
    )
    metrics.bind(manager)
    return manager


_lock = threading.Lock()
_default: ShadowTrafficManager | None = None


def default_manager() -> ShadowTrafficManager:
    """The manager that decorated nodes of this process share; made at the first call.

    Raises:
        ConfigError: configuration or flags are wrong.
    """
    global _default
    with _lock:
        if _default is None:
            _default = build_manager()
        return _default


def set_default_manager(manager: ShadowTrafficManager | None) -> None:
    """Make ``manager`` the one that decorated nodes use; None: a new one at the next call."""
    global _default
    with _lock:
        _default = manager
