"""Draft of a ``shadow.toml`` for a graph: every node is listed, the session is guessed from the state's schema."""

from __future__ import annotations

from typing import Any

from otel_shadow._doctor.graph import hints, node_names, state_keys

_SESSION = ("session_id", "conversation_id", "thread_id")
_MESSAGE = ("messages", "message", "input", "question", "query", "text")
_STEP = ("current_step", "step")
_STAGE = ("current_stage", "stage")
_INTENT = ("intent", "detected_intent")


def draft(graph: Any) -> str:
    keys = state_keys(graph)
    lines = [
        f"# shadow.toml for the graph {graph.get_name()!r}, drafted by `otel-shadow doctor --write`.",
        f"# State fields: {', '.join(keys)}",
        "",
        '# v2_build = "1.0.0"   # which V2 this is; default: service.version',
        "",
        "[session]",
        "# Where things are: a state key, a path such as messages[-1].content, or configurable.NAME.",
        f'id = "{_first(keys, _SESSION) or "configurable.thread_id"}"',
        f'message = "{_message(graph, keys)}"',
        *_optional("step", _first(keys, _STEP), "the node's own step; steps_match compares it"),
        '# steps = ["…"]          # declare its values: undeclared ones are written as _other',
        *_optional("stage", _first(keys, _STAGE), "the stage, if the workflow has one"),
        *_optional("intent", _first(keys, _INTENT), "the detected intent; declare its values in intents"),
        "",
    ]
    for name in node_names(graph):
        lines += [
            f"# [nodes.{_key(name)}]",
            f'# v2 = "myapp.v2:{name if name.isidentifier() else "node"}"   # or "self": V1 against itself',
            "# live = false           # keep this node in shadow when others go live",
            '# compare.fields = ["*"]  # also compare what the node writes, not only where it goes',
            "",
        ]
    lines += [
        "[arms]",
        "# holdout = 0.333         # share of the time in which no shadow starts: the latency baseline",
        "# slot_seconds = 60       # it comes in slots of so many seconds, at least 12 times the time limit",
        "# noise = 0.05            # share of sessions on which V1 runs twice: its own noise floor",
        "",
        "[sla]",
        "# parity = 0.95",
        "# handoff = 0.03",
        "# latency_margin = 0.15",
        "",
    ]
    return "\n".join(lines)


def _first(keys: list[str], wanted: tuple[str, ...]) -> str | None:
    return next((name for name in wanted if name in keys), None)


def _message(graph: Any, keys: list[str]) -> str:
    name = _first(keys, _MESSAGE)
    if name is None:
        return "messages[-1].content"
    listed = name == "messages" or "list" in str(hints(graph).get(name, "")).lower()
    return f"{name}[-1].content" if listed else name


def _optional(key: str, found: str | None, why: str) -> list[str]:
    return [f'{key} = "{found}"'] if found else [f'# {key} = "…"   # {why}']


def _key(name: str) -> str:
    return name if name.replace("-", "_").isidentifier() else f'"{name}"'
