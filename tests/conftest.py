"""Fixtures of all tests: a clean environment, captured telemetry, the conversations beside the repository."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from otel_shadow._api.manager import set_default_manager
from otel_shadow.testing.fixtures import make_shadow_capture, shadow_capture

__all__ = ["make_shadow_capture", "shadow_capture"]

ROOT = Path(__file__).resolve().parents[1]
_DATA = ROOT.parent / "shared" / "data"
_OURS = ("ROUTER_V2_", "V2_TIMEOUT_MS", "SHADOW_LOGGING", "OTEL_")
_KEPT = ("OTEL_SHADOW_UPDATE_GOLDEN",)


hypothesis.settings.register_profile("untimed", deadline=None)  # how long an example takes depends on the machine
hypothesis.settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # what a shell starts in the background has it so
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No flag, configuration, exporter or state of the machine's own reaches a test, and no manager outlives one."""
    for name in list(os.environ):
        if name.upper().startswith(_OURS) and name not in _KEPT:
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_SHADOW_STATE_DIR", str(tmp_path_factory.getbasetemp() / "state"))
    yield
    set_default_manager(None)


@pytest.fixture
def data_file() -> Callable[[str], Path]:
    """Path of one of the real conversation files that lie beside the repository; skipped where they don't."""

    def find(name: str) -> Path:
        path = _DATA / name
        if not path.is_file():
            pytest.skip(f"{name} is not in ../shared/data beside the repository")
        return path

    return find
