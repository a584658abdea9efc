"""Import paths of the release before still lead to the very same objects, and warn."""

from __future__ import annotations

import importlib
import sys

import pytest

from otel_shadow._demo.v2.thresholds import Thresholds
from otel_shadow._moved import _MODULES, _PACKAGES

OLD = [f"otel_shadow.{name}" for name in (*_MODULES, *sorted(_PACKAGES), "runtime.manager", "demo.v2.thresholds")]


@pytest.mark.parametrize("name", OLD)
def test_a_former_path_warns_and_leads_to_the_new_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each former path can be imported, and says where the module is now."""
    for loaded in [each for each in sys.modules if each == name]:
        monkeypatch.delitem(sys.modules, loaded)
    with pytest.warns(DeprecationWarning, match=r"is now otel_shadow\.") as told:
        module = importlib.import_module(name)
    assert any(name in str(each.message) for each in told)
    assert dir(module)


def test_a_former_path_gives_the_same_class() -> None:
    """No class exists twice, however it is imported."""
    with pytest.warns(DeprecationWarning, match="is now"):
        old = importlib.reload(importlib.import_module("otel_shadow.demo.v2.thresholds"))
    assert old.Thresholds is Thresholds


@pytest.mark.filterwarnings("ignore:.* is now:DeprecationWarning")
@pytest.mark.parametrize("name", ["otel_shadow.nothing", "otel_shadow.runtime.nothing"])
def test_what_never_was_stays_missing(name: str) -> None:
    """An unknown module is an ``ImportError`` as ever."""
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
