"""Checks of a graph: its nodes, their V2, and whether the configured paths exist in its state."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from pkgutil import resolve_name
from typing import Any, get_type_hints

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.state import StateGraph
from langgraph.pregel import Pregel

from otel_shadow._doctor.arms import check_limit
from otel_shadow._doctor.findings import Finding, explained, note, ok, problem
from otel_shadow._langgraph.instrument.mark import mark_of
from otel_shadow._langgraph.v2_code import code_of
from otel_shadow._langgraph.v2_runnable import as_runnable, is_async
from otel_shadow._runtime.code_location import code_file
from otel_shadow._runtime.executors.loop_admission import untried_remedy
from otel_shadow._runtime.state_directory import StateDirectory
from otel_shadow.config import NodeTable, ShadowConfig
from otel_shadow.errors import ConfigError

_INJECTED = {"config", "runtime", "writer", "store", "previous"}


def import_graph(path: str) -> Any:
    """Return the compiled graph of ``path``, ``module:attribute`` of a graph, a builder, or a function that makes one.

    A ConfigError says what ``path`` leads to instead.
    """
    module, colon, attribute = path.partition(":")
    if not colon or not attribute:
        raise ConfigError([f"{path}: expected module:attribute, such as myapp.workflow:graph"])
    try:
        found = resolve_name(path)
    except Exception as error:  # importing the user's module may raise anything
        inside = code_file(error) is not None
        if isinstance(error, ModuleNotFoundError) and not inside:
            raise ConfigError([f"{path}: no module named {error.name!r}"]) from None
        if isinstance(error, AttributeError) and not inside:
            raise ConfigError([f"{path}: module {module!r} has no {attribute!r}"]) from None
        raise ConfigError([f"{path}: importing it raised {explained(error)}"]) from error
    return compiled(found, path)


def compiled(found: Any, path: str) -> Any:
    """Return ``found``, a graph, a builder, or a function that makes one, compiled, or raise a ConfigError."""
    if isinstance(found, StateGraph):
        found = found.compile(checkpointer=InMemorySaver())
    if callable(found) and not isinstance(found, Pregel):
        try:
            made = found()
        except Exception as error:
            raise ConfigError([f"{path}: calling it raised {explained(error)}; expected a graph"]) from error
        return compiled(made, path)
    if not isinstance(found, Pregel):
        raise ConfigError([f"{path}: expected a graph, found {type(found).__name__}"])
    return found


def node_names(graph: Any) -> list[str]:
    return [name for name in graph.nodes if not name.startswith("__")]


def state_keys(graph: Any) -> list[str]:
    return [name for name in graph.channels if not name.startswith(("__", "branch:", "join:"))]


def check_graph(graph: Any, config: ShadowConfig) -> Iterator[Finding]:
    names = node_names(graph)
    yield ok("graph", f"{graph.get_name()!r}: nodes {', '.join(names)}")
    for name in sorted(set(config.nodes) - set(names)):
        if config.nodes[name].graph in (None, graph.get_name()):
            text = "the graph has no node of this name: no shadow will run"
            yield problem(f"nodes.{name}", text, _nearest(name, names))
    shadowed = False
    for name in names:
        mark = mark_of(graph.nodes[name].bound)
        v2 = mark.v2 if mark is not None and mark.v2 is not None else config.nodes.get(name, NodeTable()).v2
        if v2 is not None:
            shadowed = True
            yield _check_v2(f"nodes.{name}", v2)
            yield from _check_loop(name, v2, graph.nodes[name].bound, config.nodes.get(name, NodeTable()))
            if mark is not None and mark.options.get("timeout_ms"):
                yield from check_limit(config, mark.options["timeout_ms"], name)
        elif mark is not None or name in config.nodes:
            text = "it has no V2: each execution will be recorded as not_implemented"
            yield problem(f"nodes.{name}", text, f"set nodes.{name}.v2")
    if not shadowed:
        yield problem("graph", "no node has a V2: nothing will be shadowed", "name one in [nodes.X] v2")
    yield from _check_session(graph, config)


def _check_v2(subject: str, v2: Any) -> Finding:
    if v2 == "self":
        return ok(subject, "V2 is V1 itself: a noise check")
    try:
        found = resolve_name(v2) if isinstance(v2, str) else v2
    except Exception as error:  # noqa: BLE001 - importing the user's module may raise anything
        return problem(subject, f"V2 {v2!r} can't be imported: {explained(error)}", "correct module or path")
    try:
        as_runnable(found)
    except TypeError:
        return problem(subject, f"V2 is a {type(found).__name__}", "expected a function, a runnable or a graph")
    if fault := _signature_fault(found):
        return problem(subject, f"V2 {fault}", "a node takes the state, and config, runtime, writer, store by name")
    name = getattr(found, "__name__", type(found).__name__)
    return ok(subject, f"V2 {name}{' (async)' if is_async(found) else ''}")


def _check_loop(name: str, v2: Any, v1: Any, table: NodeTable) -> Iterator[Finding]:
    """Yield what keeps an awaited V2 from running on the application's event loop."""
    try:
        found = resolve_name(v2) if isinstance(v2, str) and v2 != "self" else v2
        awaited = v2 != "self" and is_async(as_runnable(found))
    except Exception:  # noqa: BLE001 - told already
        return
    if not awaited or table.executor == "process":
        return
    if table.executor == "thread":
        text = 'executor = "thread" is not for an awaited V2; it is taken as "auto", and the next release refuses it'
        yield note(f"nodes.{name}", text, "take the key out")
    code = code_of(v2, v1)
    if table.executor != "loop" and not code.accepted and code.path is None:
        yield problem(f"nodes.{name}", f"V2 will not run: {code.hindrance}", untried_remedy(name))


def check_state() -> Iterator[Finding]:
    """Yield the V2s that are paused because they held the event loop, as the state directory of this user has them."""
    state = StateDirectory()
    for file, kept in state.entries():
        if kept.get("state") == "paused":
            subject = f"nodes.{kept.get('node')}"
            text = (
                f"paused (blocks the loop) since {kept.get('at')}, build {kept.get('build')}: V2 held the event loop "
                f"for {kept.get('milliseconds')} ms at {kept.get('position')}"
            )
            yield note(
                subject, text, f"deploy a build that awaits there; to run this one again, remove {state.path / file}"
            )


def _signature_fault(v2: Any) -> str:
    if not inspect.isfunction(v2):
        return ""
    needed = [
        name
        for name, parameter in inspect.signature(v2).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if not needed:
        return "takes no argument: it can't see the state"
    strange = [name for name in needed[1:] if name not in _INJECTED]
    return f"needs {', '.join(strange)}, which LangGraph does not give" if strange else ""


def _check_session(graph: Any, config: ShadowConfig) -> Iterator[Finding]:
    keys = state_keys(graph)
    for key in ("id", "message", "step", "stage"):
        path = getattr(config.session, key)
        if path is None or path.startswith("configurable."):
            continue
        first = path.partition(".")[0].partition("[")[0]
        if first not in keys:
            remedy = f"set [session] {key}; the state has {', '.join(keys)}"
            told = note if key == "step" else problem
            yield told(f"session.{key}", f"the state has no {first!r}", remedy)


def _nearest(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"


def hints(graph: Any) -> dict[str, Any]:
    """Return the types of the state's fields; none where the graph does not know its schema."""
    schema = getattr(getattr(graph, "builder", None), "state_schema", None)
    try:
        return dict(get_type_hints(schema)) if schema is not None else {}
    except Exception:  # noqa: BLE001 - forward references that don't resolve
        return {}
