"""Where in the code V2 failed: module and line of the user's own code, no path and no data."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from langgraph.types import Command
from small_graphs import call, left, small_graph

from otel_shadow import FeatureFlags
from otel_shadow._runtime.code_location import code_location
from otel_shadow.testing.capture import ShadowCapture

Make = Callable[..., ShadowCapture]
SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()


def here(mark: str) -> str:
    """Module and line of the statement that is marked so in this file."""
    (line,) = [number for number, text in enumerate(SOURCE, 1) if text.endswith(f"# {mark}")]
    return f"{__name__}:{line}"


def caught(act: Callable[[], Any]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def broken(state: Any) -> Any:
    return inner({"name": "Ana Souza"})


def inner(value: dict[str, str]) -> Any:
    return value["Maria"]  # inner


def in_library(state: Any) -> Any:
    return json.loads("{Ana")  # library


async def awaited(state: Any) -> Any:
    await asyncio.sleep(0)
    return inner({})


async def in_group(state: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(awaited(state))


async def waits(state: Any) -> Any:
    await asyncio.sleep(3600)  # waits


def made_by(name: str, **variables: Any) -> Callable[[Any], Any]:
    """A function of a module that nobody imported under its name."""
    module = ModuleType(name)
    vars(module).update(variables)
    exec("def v2(state):\n    raise ValueError('Ana')\n", vars(module))
    made: Callable[[Any], Any] = module.v2
    return made


def test_the_deepest_frame_of_the_users_own_code() -> None:
    """Not of the standard library below it, and not of the caller above it."""
    assert code_location(caught(lambda: broken({}))) == here("inner")
    assert code_location(caught(lambda: in_library({}))) == here("library")
    assert code_location(caught(lambda: asyncio.run(awaited({})))) == here("inner")


def test_inside_a_group_of_exceptions() -> None:
    """A task group raises from its own frame; the first exception inside it came from the user's."""
    assert code_location(caught(lambda: asyncio.run(in_group({})))) == here("inner")


def test_an_exception_that_was_never_raised_came_from_nowhere() -> None:
    """Nor did none at all, or a class of exceptions."""
    assert [code_location(one) for one in (ValueError("Ana"), None, ValueError)] == [None, None, None]


@pytest.mark.parametrize("name", ["Ana Souza", "ana_souza", "json", "a" * 300, "../secret"])
def test_a_module_that_is_not_imported_by_its_name_is_not_told(name: str) -> None:
    """A name that a program made may be a person's."""
    assert str(code_location(caught(lambda: made_by(name)({})))).rpartition(":")[0] == "_other"


def test_a_module_that_was_loaded_from_a_file_is_told(tmp_path: Path) -> None:
    """Servers load graphs by their specification, without a place among the imported modules."""
    from importlib.util import module_from_spec, spec_from_file_location

    (tmp_path / "graphs.py").write_text("def v2(state):\n\n    raise ValueError('Ana')\n")
    spec = spec_from_file_location("loaded_graphs", tmp_path / "graphs.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert code_location(caught(lambda: module.v2({}))) == "loaded_graphs:3"


def test_of_a_package_only_where_there_is_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A V2 that was installed is told by its own package, not by the library that it calls."""
    packages = tmp_path / "site-packages"
    for package, code in (
        ("shop_v2", "from vendor import fail\n\ndef v2(state):\n    return fail()\n"),
        ("vendor", "def fail():\n    raise ValueError('Ana')\n"),
    ):
        (packages / package).mkdir(parents=True)
        (packages / package / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(packages)
    from shop_v2 import v2  # type: ignore[import-not-found]

    error = caught(lambda: v2({}))
    assert str(code_location(error)).startswith(__name__)  # this test is the user's code, too
    error.__traceback__ = error.__traceback__.tb_next.tb_next if error.__traceback__ else None
    assert code_location(error) == "shop_v2:4"


@pytest.mark.parametrize(
    ("v2", "mark"), [(broken, "inner"), (awaited, "inner"), (in_group, "inner"), (in_library, "library")]
)
@pytest.mark.parametrize("is_async", [False, True])
def test_line_and_span_of_a_broken_v2_say_where(make_shadow_capture: Make, v2: Any, mark: str, is_async: bool) -> None:
    """A V2 that raises is diagnosed from the line: type and place, without a word of the message."""
    capture = make_shadow_capture({})
    call(capture.attach(small_graph(), {"left": v2}), is_async=is_async)
    (line,) = capture.lines("SHADOW_V2")
    assert (line["shadow_status"], line["v2_location"]) == ("error", here(mark))
    assert capture.spans("v2.shadow")[0].attributes["shadow.v2.location"] == here(mark)
    assert "shadow.v2.location" not in capture.spans("v1.node")[0].attributes
    assert "Ana" not in json.dumps(line)


def test_a_v2_that_works_has_no_place(make_shadow_capture: Make) -> None:
    """Nor has one that asks a human."""
    capture = make_shadow_capture({})
    call(capture.attach(small_graph(), {"left": left}))
    assert [line["v2_location"] for line in capture.lines("SHADOW_V2")] == [None]


def test_a_path_function_that_raises_on_v2s_output_is_told(make_shadow_capture: Make) -> None:
    """V2's decision is ``error:TypeError``; the line says where."""
    capture = make_shadow_capture({})
    call(capture.attach(small_graph(), {"left": lambda _: {"trail": 7}}))
    (line,) = capture.lines("SHADOW_V2")
    assert line["decision_comparison"]["shadow_target"].startswith("error:")
    assert line["v2_location"] is not None


@pytest.mark.parametrize("is_async", [False, True])
def test_a_v2_that_hangs_is_told_by_where_it_hangs(make_shadow_capture: Make, is_async: bool) -> None:
    """A timeout says what it waited for."""
    released = threading.Event()

    def hangs(state: Any) -> Any:
        released.wait(60)  # hangs

    capture = make_shadow_capture({"nodes": {"left": {"timeout_ms": 50}}})
    try:
        call(capture.attach(small_graph(), {"left": waits if is_async else hangs}), is_async=is_async)
        (line,) = capture.lines("SHADOW_V2")
        assert (line["shadow_status"], line["v2_location"]) == ("timeout", here("waits" if is_async else "hangs"))
    finally:
        released.set()


def test_a_live_v2_that_fails_is_told_too(make_shadow_capture: Make) -> None:
    """The line of the fallback, and the span of the V2 that failed."""
    flags = FeatureFlags(router_v2_enabled=True, router_v2_percentage=100)
    capture = make_shadow_capture({}, flags)
    assert call(capture.attach(small_graph(), {"left": broken}))["trail"] == ["left", "right"]
    (line,) = capture.lines()
    assert (line["fallback_reason"], line["v2_location"]) == ("error", here("inner"))
    assert capture.spans("v2.node")[0].attributes["shadow.v2.location"] == here("inner")


def test_a_command_is_no_failure(make_shadow_capture: Make) -> None:
    """A decision by exception has no place either."""
    capture = make_shadow_capture({})
    call(capture.attach(small_graph(), {"left": lambda _: Command(goto="right")}))
    assert [line["v2_location"] for line in capture.lines("SHADOW_V2")] == [None]


APPLICATION = """
import sys
sys.path.insert(0, {tests!r})
from small_graphs import call, left, small_graph
from otel_shadow import ShadowConfig, ShadowIntegrationMiddleware, ShadowTrafficManager

def v2(state):
    raise ValueError("Ana Souza, +55 11 91234-5678")

manager = ShadowTrafficManager(ShadowConfig.from_mapping({{"arms": {{"holdout": 0.0}}}}), log_file={log!r})
print(call(ShadowIntegrationMiddleware({{"left": v2}}, manager).attach(small_graph()))["trail"])
manager.flush(30)
"""


@pytest.mark.parametrize(("value", "shown"), [("true", True), (" 1\r", True), ("", False), ("false", False)])
def test_the_debug_mode_shows_everything_on_the_terminal_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, shown: bool
) -> None:
    """``OTEL_SHADOW_DEBUG`` prints messages and tracebacks, and says so at the start; without it no word appears."""
    log = tmp_path / "app.log"
    code = APPLICATION.format(tests=str(Path(__file__).parents[1]), log=str(log))
    monkeypatch.setenv("OTEL_SHADOW_DEBUG", value)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['left', 'right']\n"
    said = done.stderr
    assert ("OTEL_SHADOW_DEBUG is on" in said) is shown
    assert ("ValueError: Ana Souza, +55 11 91234-5678" in said) is shown
    assert ('raise ValueError("Ana' in said or "line 8, in v2" in said) is shown
    assert "Souza" not in log.read_text(encoding="utf-8")
