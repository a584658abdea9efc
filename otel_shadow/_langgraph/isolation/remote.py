"""LangGraph servers inside a shadow: they may be read; what would change something there is blocked or allowed.

A server keeps the history of a user's thread, and a run of V2's would be one more turn of it. Every client of a server
(``RemoteGraph``, the clients of ``langgraph_sdk``, called or awaited) sends through the classes that are guarded here.
A run may also be sent without its thread: ``[tools] stateless``.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import wrapt
from langgraph.errors import GraphBubbleUp

from otel_shadow import semconv
from otel_shadow._langgraph import internals
from otel_shadow._langgraph.patches import Patches, changing_arguments
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext
from otel_shadow.errors import SideEffectBlockedError

_CLIENT = "langgraph_sdk.client"
_TRANSPORTS = "langgraph_sdk.stream.transport"
_HTTP = ("HttpClient", "SyncHttpClient")
_PROTOCOL = (
    "ProtocolSseTransport", "ProtocolWebSocketTransport", "SyncProtocolSseTransport", "SyncProtocolWebSocketTransport",
)  # fmt: skip
_RUN = re.compile(r"(?:/threads/[^/]+)?(/runs(?:/stream|/wait|/batch)?)")
_READ = re.compile(
    r"/(?:threads|assistants|runs/crons)/(?:search|count)|/store/(?:items/search|namespaces)"
    r"|/threads/[^/]+/(?:history|state/checkpoint)|/assistants/[^/]+/versions"
)
"""What is read by ``POST``."""
_READING_COMMANDS = frozenset({"agent.getTree"})
_OF_A_THREAD = frozenset(
    {
        "thread_id", "checkpoint", "checkpoint_id", "if_not_exists", "multitask_strategy", "strict_resume",
        "on_completion", "webhook", "after_seconds",
    }
)  # fmt: skip
"""What a run's request says of its thread, or of what is to happen to others because of it."""

_guarding: list[Patches] = []
"""The patches of the guards, once they have been installed."""


class RemoteBlockedError(SideEffectBlockedError, GraphBubbleUp):
    """A request to a LangGraph server that a shadow may not make; it passes through agents like an interrupt."""

    def __init__(self, name: str, advice: str = "") -> None:
        super().__init__(name)
        if advice:
            self.args = (
                f"{name} on a LangGraph server is blocked inside a shadow: {advice} under [tools] in shadow.toml",
            )


def guard_servers(patches: Patches) -> None:
    """Guard the classes that talk to LangGraph servers: now, or when the application first imports them."""
    first = not _guarding
    _guarding[:] = [patches]
    if first:
        wrapt.register_post_import_hook(lambda _: _guard_loaded(), _CLIENT)  # called at once if it is there
    elif _CLIENT in sys.modules:
        _guard_loaded()


def _guard_loaded() -> None:
    patches = _guarding[0]
    client, transports = sys.modules[_CLIENT], _transports()
    if not patches.installed or patches.has(getattr(client, _HTTP[0]), "get"):
        return
    for kind in (getattr(client, name) for name in _HTTP):
        for verb in ("get", "post", "put", "patch", "delete"):
            patches.replace(kind, verb, changing_arguments(_checked(verb.upper())))
        for method in ("request_reconnect", "stream"):
            patches.replace(kind, method, changing_arguments(_checked(None)))
    for kind in (getattr(transports, name, None) for name in _PROTOCOL):
        if kind is not None:
            patches.replace(kind, "send_command", changing_arguments(_checked_command))


def _transports() -> Any:
    try:
        return importlib.import_module(_TRANSPORTS)
    except ImportError:  # before LangGraph's third way to stream
        return None


# --- inside a shadow -------------------------------------------------------------------------------------------------


def _checked(verb: str | None) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    """Make the check of a request by ``verb``; None: the verb is an argument, after the path."""

    def change(client: Any, path: str, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        scope = SHADOW.get()
        if scope is not None:
            used = verb or str(args[0] if args else kwargs.get("method")).upper()
            path, kwargs = _request(scope, used, path, kwargs)
        return (client, path, *args), kwargs

    return change


def _request(scope: ShadowContext, verb: str, path: str, kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return where and what to send in place of a request, or raise where it is blocked."""
    place = "/" + urlsplit(path).path.strip("/")
    if verb in ("GET", "HEAD"):
        return path, _reading(place, "params", kwargs)
    if verb == "POST" and _READ.fullmatch(place):
        return path, _reading(place, "json", kwargs)
    run = _RUN.fullmatch(place) if verb == "POST" else None
    assistants = _assistants(kwargs.get("json")) if run is not None else []
    word = _word(place)
    if _named(scope.tools.allow, word, assistants):
        return path, kwargs
    if run is None:
        raise _blocked(scope, word, "allow it")
    if not _named(scope.tools.stateless, word, assistants):
        name = next((name for name in assistants if name in scope.tools.known), word)
        raise _blocked(scope, name, "name it (or the assistant) as stateless, or allow it,")
    return run[1], {**kwargs, "json": _stateless(kwargs.get("json"))}


def _checked_command(
    transport: Any, command: Mapping[str, Any], *args: Any, **kwargs: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Check a command for a thread, by which streams of version 3 start runs: none of them is without a thread."""
    scope = SHADOW.get()
    if scope is not None and command.get("method") not in _READING_COMMANDS:
        word, assistants = semconv.SERVER_WORDS["runs"], _assistants(command.get("params"))
        if not _named(scope.tools.allow, word, assistants):
            name = next((name for name in assistants if name in scope.tools.known), word)
            raise _blocked(scope, name, "allow it (a stream of events has a thread; other runs may be stateless)")
    return (transport, command, *args), kwargs


def _blocked(scope: ShadowContext, name: str, advice: str) -> RemoteBlockedError:
    scope.blocked.append(name)
    return RemoteBlockedError(name, advice)


def _named(words: Sequence[str], word: str, assistants: Sequence[str]) -> bool:
    """Return whether ``words`` of ``[tools]`` name the kind of request, or every assistant that it would run."""
    return word in words or (bool(assistants) and all(name in words for name in assistants))


def _word(place: str) -> str:
    """Return the word for a request: the part of the client that makes it."""
    parts = place.split("/")
    found = next((name for name in ("crons", "runs") if name in parts), parts[1])
    return semconv.SERVER_WORDS.get(found, semconv.SERVER_WORDS["http"])


def _assistants(payload: Any) -> list[str]:
    runs = payload if isinstance(payload, list) else [payload]
    return [str(run["assistant_id"]) for run in runs if isinstance(run, Mapping) and "assistant_id" in run]


def _stateless(payload: Any) -> Any:
    """Return a run's request without its thread and checkpoint, and without what would follow for others."""
    if isinstance(payload, list):
        return [_stateless(run) for run in payload]
    if not isinstance(payload, Mapping):
        return payload
    made = {key: value for key, value in payload.items() if key not in _OF_A_THREAD}
    config = made.get("config")
    if isinstance(config, Mapping) and isinstance(config.get(internals.CONF), Mapping):
        hidden = internals.COORDINATES | {internals.THREAD_ID}
        own = {key: value for key, value in config[internals.CONF].items() if key not in hidden}
        made["config"] = {**config, internals.CONF: own}
    return made


def _reading(place: str, where: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a reading request that keeps no item alive and, where it ends early, cancels no run."""
    given = kwargs.get(where) or {}
    if not isinstance(given, Mapping):
        return kwargs
    changed = {"refresh_ttl": False} if place in ("/store/items", "/store/items/search") else {}
    if "cancel_on_disconnect" in given:
        changed["cancel_on_disconnect"] = False
    return {**kwargs, where: {**given, **changed}} if changed else kwargs
