"""Import paths of the release before: each leads to the module's new place and warns. Goes with the next release."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from warnings import warn

_PACKAGE = __package__ or "otel_shadow"
_MODULES = {
    "assembly": "_api.manager",
    "runtime.manager": "_api.manager",
    "instrumentor": "_api.instrumentor",
    "middleware": "_api.middleware",
    "mark": "_langgraph.instrument.mark",
    "demo.conversations": "_calibration.conversations",
    "demo.providers": "_report.sdk_providers",
    "doctor.command": "_doctor.doctor_command",
    "doctor.signal": "_doctor.checks",
    "demo.clock": "_demo.play",
    "demo.loop": "_demo.closed_loop",
    "demo.run": "_demo.demo_command",
    "demo.scenarios": "_demo.bundled",
    "demo.v2.model": "_demo.v2.response",
    "demo.v2.nodes": "_demo.v2",
    "evidence.display": "evidence.view_builder",
    "evidence.reader": "evidence.read_sources",
    "evidence.saved": "evidence.saved_summary",
    "evidence.watch": "evidence.growing_logs",
    "langgraph.attach": "_langgraph.instrument.attach",
    "langgraph.capture": "_langgraph.node_capture",
    "langgraph.hooks": "_langgraph.instrument.compile_hook",
    "langgraph.guards": "_langgraph.isolation.guards",
    "langgraph.names": "_langgraph.internals",
    "langgraph.store": "_langgraph.isolation.stores",
    "langgraph.tools": "_langgraph.isolation.tools",
    "report.otlp_export": "_report.sdk_providers",
    "runtime.scope": "_runtime.shadow_context",
    "runtime.call": "_runtime.execution",
    "runtime.facts": "_runtime.execution_result",
    "runtime.site": "_runtime.node",
    "telemetry.lines": "log_line",
    "telemetry.log_events": "_telemetry.log_sinks",
    "telemetry.log_file": "_telemetry.log_sinks",
    "dashboards.names": "_dashboards.series_names",
    "calibration.command": "_calibration.calibrate_command",
    "calibration.result": "_calibration.calibration",
    "calibration.router": "_calibration.threshold_proposals",
    "verdict.arrays": "verdict.columns",
    "verdict.plain": "verdict.json_data",
    "verdict.reading": "verdict.lines_read",
    "verdict.shares": "verdict.proportions",
    "verdict.signature": "verdict.execution_kind",
    "verdict.slots": "verdict.session_counts",
    "verdict.summary": "verdict.executions",
    "verdict.tally": "verdict.node_tally",
}
"""Modules whose own name changed; a package whose name only gained an underscore is found by rule."""
_PACKAGES = frozenset({"calibration", "dashboards", "demo", "doctor", "langgraph", "report", "runtime", "telemetry"})


class MovedModules(MetaPathFinder):
    """A finder of modules under their former names, asked after every other finder has failed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of an alias, or None where ``fullname`` never was a module of this package."""
        package, _, old = fullname.partition(".")
        if package != _PACKAGE:
            return None
        new = _MODULES.get(old) or (f"_{old}" if old.partition(".")[0] in _PACKAGES else None)
        if new is None or find_spec(f"{_PACKAGE}.{new}") is None:
            return None
        return ModuleSpec(fullname, _Alias(f"{_PACKAGE}.{new}"), is_package=True)  # modules below an alias are aliases


class _Alias(Loader):
    """A loader of modules that take every attribute from the module that replaced them."""

    def __init__(self, new: str) -> None:
        self._new = new

    def exec_module(self, module: ModuleType) -> None:
        """Warn, and let ``module`` delegate to the new one."""
        warn(f"{module.__name__} is now {self._new}; import what {_PACKAGE} exports", DeprecationWarning, stacklevel=2)
        found = import_module(self._new)
        module.__doc__ = found.__doc__
        vars(module)["__getattr__"] = lambda name: getattr(found, name)
        vars(module)["__dir__"] = lambda: dir(found)


def install() -> None:
    sys.meta_path.append(MovedModules())
