"""The benchmark's simulations, for the tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_FILE = Path(__file__).parents[2] / "benchmarks" / "calibration.py"
_SPEC = importlib.util.spec_from_file_location("benchmark_calibration", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _MODULE
_SPEC.loader.exec_module(_MODULE)

outcomes = _MODULE.outcomes
naive_outcome = _MODULE.naive_outcome
