"""What the demo brings along: its configuration, conversations that were authored for it, and three scenarios."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otel_shadow._demo.state import CHILD_NAME, GREETING, QUALIFICATION
from otel_shadow.config import ShadowConfig

CONVERSATIONS = Path(__file__).with_name("conversations.jsonl")
"""Conversations in Portuguese and English, all of them authored."""


def bundled_config() -> ShadowConfig:
    text = Path(__file__).with_name("shadow.toml").read_text(encoding="utf-8")
    return ShadowConfig.from_mapping(tomllib.loads(text), "the demo's shadow.toml")


@dataclass(frozen=True)
class Scenario:
    """One user message on a given state, and the node it is meant for."""

    id: str
    title: str
    node: str
    message: str
    state: dict[str, Any] = field(default_factory=dict)


SCENARIOS = (
    Scenario("demo_001", "a new greeting, the parent's name not given", GREETING, "Olá, bom dia!"),
    Scenario("demo_002", "a greeting with the name given", GREETING, "Oi, meu nome é Mariana"),
    Scenario(
        "demo_003",
        "a qualification message with the child's name and age",
        QUALIFICATION,
        "Minha filha chama Ana e tem 8 anos",
        {
            "parent_name": "Mariana",
            "current_stage": QUALIFICATION,
            "current_step": CHILD_NAME,
            "requested_slot": "child_name",
            "language": "pt",
        },
    ),
)
