"""The three scenarios that the demo shows first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from otel_shadow._demo.state import CHILD_NAME, GREETING, QUALIFICATION


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
