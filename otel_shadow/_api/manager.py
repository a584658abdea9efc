"""The manager that users make, with OpenTelemetry's three signals, and the one that a process shares."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from operator import attrgetter
from time import time
from typing import Any
from warnings import warn

from otel_shadow import semconv
from otel_shadow._runtime.background_log import say
from otel_shadow._runtime.debug_mode import announce
from otel_shadow._runtime.dispatcher import Dispatcher, never
from otel_shadow._runtime.engine import Engine
from otel_shadow._runtime.executors.process import WorkerPool
from otel_shadow._runtime.executors.trial import Trial
from otel_shadow._runtime.fault_barrier import FaultBarrier
from otel_shadow._runtime.holdout_clock import HoldoutClock
from otel_shadow._runtime.record_counts import RecordCounts
from otel_shadow._runtime.record_queue import RecordQueue
from otel_shadow._runtime.redact import Redactor
from otel_shadow._runtime.services import Inspect, Services, random_id
from otel_shadow._runtime.sinks import Sink, Spans
from otel_shadow._runtime.state_directory import StateDirectory
from otel_shadow._telemetry.before_flush import settle_before_flush
from otel_shadow._telemetry.line_encoder import LineEncoder
from otel_shadow._telemetry.log_sinks import LogEventSink, LogFileSink, WhileLogging
from otel_shadow._telemetry.metrics import MetricsSink
from otel_shadow._telemetry.service_name import service_name, service_version
from otel_shadow._telemetry.spans import OtelSpans
from otel_shadow.config import ArmsTable, ShadowConfig
from otel_shadow.flags import FeatureFlags, FlagSource
from otel_shadow.hash_key import WEAK_KEY
from otel_shadow.slots import rounding, slots_per_block

_FORMER_NAMES = {
    "emitter": "record_queue",
    "runner": "dispatcher",
    "shield": "fault_barrier",
    "sites": "nodes",
    **{name: f"services.{name}" for name in ("clock", "clock_name", "config_digest", "new_id", "redactor", "v2_build")},
}


class ShadowTrafficManager(Engine):
    """The owner of the shadow runs of a process, with spans, metrics, log events and log lines.

    V2 runs in shadow, or live with V1 as its fallback. V1 waits for no shadow run and meets no fault of otel-shadow.

    Arguments:
        config: ``shadow.toml``; default: found by :meth:`ShadowConfig.load`.
        flags: where the flags come from; default: environment, then ``[flags]`` of the configuration.
        tracer_provider: default: the global one, also when it is set later.
        meter_provider: likewise.
        logger_provider: likewise.
        log_file: where lines go; default ``OTEL_SHADOW_LOG_FILE``, else standard error.
        sinks: further sinks for the finished records.
        spans: opens the spans instead of ``tracer_provider``.
        redactor: default: keyed by ``OTEL_SHADOW_HASH_KEY``.
        clock: epoch seconds, for timestamps and slots of time (durations are monotonic).
        clock_name: ``simulated`` if the clock is made up; it is written on every line.
        new_id: makes pair ids; random hex digits by default.
        executor: a pool of threads for V2s that block, instead of daemon threads.
        inspect: sees each record beside the raw results of V1 and V2; for a local run that shows values.
        trials: whether an awaited V2 is tried in a worker before it runs on V1's loop; False in tests, where it runs
            there at once, guarded, and nothing outlives the process.

    Raises:
        ConfigError: configuration or flags are wrong; every fault is listed.
        OSError: the log file can't be opened.
    """

    def __init__(
        self,
        config: ShadowConfig | None = None,
        flags: FlagSource | None = None,
        *,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        logger_provider: Any = None,
        log_file: str | None = None,
        sinks: Sequence[Sink] = (),
        spans: Spans | None = None,
        redactor: Redactor | None = None,
        clock: Callable[[], float] = time,
        clock_name: str = "system",
        new_id: Callable[[], str] | None = None,
        executor: Executor | None = None,
        inspect: Inspect | None = None,
        trials: bool = True,
    ) -> None:
        announce()
        config = config if config is not None else ShadowConfig.load()
        source: FlagSource = flags or FeatureFlags.resolve(config.flags)
        providers = tracer_provider, meter_provider, logger_provider
        metrics = MetricsSink(meter_provider)
        redactor = redactor or _own_redactor(config)
        encoder = LineEncoder(redactor)
        lines = [WhileLogging(LogEventSink(logger_provider, encoder)), WhileLogging(LogFileSink(log_file, encoder))]
        fault_barrier = FaultBarrier()
        workers = WorkerPool(config, fault_barrier)
        holdout = HoldoutClock(config.arms, service_name(*providers))
        # A clock that is made up may stand still in a holdout slot until what waits has run.
        is_quiet = holdout.quiet_by(source, time) if clock is time else never
        services = Services(
            config=config,
            flags=source,
            redactor=redactor,
            fault_barrier=fault_barrier,
            spans=spans or OtelSpans(tracer_provider, suppress=config.privacy.suppress_instrumentation),
            record_queue=RecordQueue([metrics, *lines, *sinks], fault_barrier, RecordCounts(source)),
            dispatcher=Dispatcher(config.limits, fault_barrier, workers, executor, is_quiet),
            clock=clock,
            holdout=holdout,
            clock_name=clock_name,
            new_id=new_id or random_id,
            build=_build(config, providers),
            config_digest=config.digest,
            state=(state := StateDirectory()) if trials else None,
            trial=Trial(state) if trials else None,
            inspect=inspect,
        )
        super().__init__(services, workers)
        _tell_holdout(config.arms, source.router_v2_holdout if isinstance(source, FeatureFlags) else None)
        metrics.bind(self)
        settle_before_flush(self.record_queue)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute by its name of the release before, and warn; such names go with the next release."""
        new = _FORMER_NAMES.get(name)
        if new is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        warn(f"ShadowTrafficManager.{name} is now {new}", DeprecationWarning, stacklevel=2)
        return attrgetter(new)(self)


def _own_redactor(config: ShadowConfig) -> Redactor:
    """Make the redactor by the environment's key, and warn once where that is easily guessed."""
    redactor = Redactor(safe_id=config.privacy.safe_session_id)
    weakness = redactor.weakness
    if weakness and weakness not in _TOLD:
        _TOLD.add(weakness)
        say(logging.WARNING, "otel-shadow: %s %s: %s", semconv.ENV_HASH_KEY, weakness, WEAK_KEY)
    return redactor


def _tell_holdout(arms: ArmsTable, flag: float | None) -> None:
    """Warn once where the holdout may be meant as it was, a share of the sessions, or is no whole part of the time."""
    told = [] if flag is None else [rounding(flag)]
    if "holdout" in arms.model_fields_set and flag is None:
        slots = slots_per_block(arms.holdout)
        if slots and "slot_seconds" not in arms.model_fields_set:
            told.append(
                f"[arms] holdout is a share of the time now, no more of the sessions: {arms.holdout:g} is taken as one "
                f"slot of {arms.slot_seconds} s in {slots}; write slot_seconds beside it if that is meant"
            )
        else:
            told.append(rounding(arms.holdout))
    for sentence in filter(None, told):
        if sentence not in _TOLD:
            _TOLD.add(sentence)
            say(logging.WARNING, "otel-shadow: %s", sentence)


_TOLD: set[str] = set()


def _build(config: ShadowConfig, providers: Sequence[Any]) -> Callable[[], str]:
    """Return what tells which V2 this is: the configuration, ``OTEL_SHADOW_V2_BUILD``, else the service's version."""
    named = config.v2_build or os.environ.get(semconv.ENV_V2_BUILD, "").strip()
    return (lambda: named) if named else service_version(*providers)


def build_manager(*args: Any, **kwargs: Any) -> ShadowTrafficManager:
    """Make a manager, as :class:`ShadowTrafficManager` does. Deprecated; it goes with the next release."""
    warn("build_manager is now otel_shadow.ShadowTrafficManager", DeprecationWarning, stacklevel=2)
    return ShadowTrafficManager(*args, **kwargs)


_lock = threading.Lock()
_default: ShadowTrafficManager | None = None


def default_manager() -> ShadowTrafficManager:
    """Return the manager that decorated nodes of this process share; it is made at the first call.

    Raises:
        ConfigError: configuration or flags are wrong.
        OSError: the log file can't be opened.
    """
    global _default
    with _lock:
        if _default is None:
            _default = ShadowTrafficManager()
        return _default


def set_default_manager(manager: ShadowTrafficManager | None) -> None:
    """Make ``manager`` the one that decorated nodes use; None: a new one is made when one is needed."""
    global _default
    with _lock:
        _default = manager
