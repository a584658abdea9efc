"""Auto-instrumentation: ``opentelemetry-instrument python app.py`` shadows what ``shadow.toml`` names."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_shadow import semconv
from otel_shadow._api.manager import ShadowTrafficManager, set_default_manager
from otel_shadow._langgraph.instrument.import_hook import when_langgraph_is_imported
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.redact import loggable
from otel_shadow._telemetry.spans import OtelSpans
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError
from otel_shadow.flags import FeatureFlags

logger = logging.getLogger("otel_shadow")


class ShadowInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """An instrumentor that shadows the configured nodes of every graph of this process, without changing any code.

    ``instrument()`` takes:
        config: a :class:`ShadowConfig`, a mapping or a path; default: ``OTEL_SHADOW_CONFIG``, else ``./shadow.toml``.
        resolve_v2: ``(graph name, node name) -> V2``: a callable or runnable, ``"self"``, or None.
        flags: a source of flags; default: environment, then the configuration.
        manager: use this manager instead of making one.
        tracer_provider, meter_provider, logger_provider: default: the global ones, also when set later.

    A wrong configuration is logged once, with every error and its remedy, and the application runs without shadows.
    With ``raise_errors=True`` it is raised instead.
    """

    manager: ShadowTrafficManager | None = None
    _attach: Callable[[Any], Any] | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        return ("langgraph >= 0.6",)

    def _instrument(self, **kwargs: Any) -> None:
        try:
            self.manager = kwargs.get("manager") or _manager(kwargs)
        except Exception as error:
            if kwargs.get("raise_errors"):
                raise
            show("the start", error)
            problem = f"log file: {error}" if isinstance(error, OSError) else loggable(error, ConfigError)
            logger.error("otel-shadow is off, the application runs V1 only: %s", problem)
            return
        set_default_manager(self.manager)
        manager, resolve = self.manager, kwargs.get("resolve_v2")

        def attach(graph: Any) -> None:
            from otel_shadow._langgraph.instrument.attach import attach as give_shadows

            try:
                give_shadows(graph, manager, resolve)
            except ConfigError as error:
                logger.error("otel-shadow: graph %r gets no shadow: %s", graph.get_name(), error)

        self._attach = attach
        when_langgraph_is_imported(lambda: self._hook(attach))

    def _hook(self, attach: Callable[[Any], Any]) -> None:
        """Install the hooks in LangGraph, unless this import hook is outdated: a registered one can't be removed."""
        if self._attach is attach:
            from otel_shadow._langgraph.instrument.compile_hook import install

            install(attach, existing=True)

    def _uninstrument(self, **kwargs: Any) -> None:
        attach, manager = self._attach, self.manager
        self._attach = self.manager = None
        hooks = sys.modules.get("otel_shadow._langgraph.instrument.compile_hook") if attach is not None else None
        if hooks is not None:  # the application has imported LangGraph
            hooks.uninstall(attach, manager)
        set_default_manager(None)
        if manager is not None:
            manager.shutdown(kwargs.get("timeout"))
            if isinstance(manager.spans, OtelSpans):
                manager.spans.close()
        if hooks is not None:
            hooks.clean_up()  # only now: what waited has run under the guards


def _manager(kwargs: dict[str, Any]) -> ShadowTrafficManager:
    """Make the manager for ``instrument(**kwargs)``; every fault of configuration and flags is in one error."""
    problems: list[str] = []
    config: ShadowConfig | None = None
    try:
        config = _config(kwargs.get("config"))
    except ConfigError as error:
        problems += error.problems
    flags = kwargs.get("flags")
    try:
        flags = flags or FeatureFlags.resolve(config.flags if config else None)
    except ConfigError as error:
        problems += error.problems
    if problems or config is None:
        raise ConfigError(problems)
    if not config.nodes and kwargs.get("resolve_v2") is None and not os.environ.get(semconv.ENV_CONFIG):
        logger.info("otel-shadow: no shadow.toml here and no %s: only decorated nodes get a shadow", semconv.ENV_CONFIG)
    return ShadowTrafficManager(
        config,
        flags,
        tracer_provider=kwargs.get("tracer_provider"),
        meter_provider=kwargs.get("meter_provider"),
        logger_provider=kwargs.get("logger_provider"),
    )


def _config(given: Any) -> ShadowConfig:
    if isinstance(given, ShadowConfig):
        return given
    if isinstance(given, str | os.PathLike) or given is None:
        return ShadowConfig.load(given)
    return ShadowConfig.from_mapping(given)
