"""The verdict as JSON is a contract: its keys, and its numbers on frozen evidence."""

from __future__ import annotations

import json
from typing import Any

from frozen import frozen
from streams import at, summary

from otel_shadow.verdict import Policy, evaluate


def rounded(value: Any) -> Any:
    """Without the digits that another processor may compute otherwise."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def test_the_json_of_a_verdict_is_frozen() -> None:
    """Two nodes, 30 hours, a shadow that fails now and then: every key and number."""
    evidence = summary(
        sessions=900, nodes=("greeting", "scheduling"), hours=30.0, failure=0.01, intent="price", build="1.4.0",
        digest="a1b2c3d4e5f6", key_id="k1", original_target="scheduling", shadow_target="scheduling", steps_match=True,
    )  # fmt: skip
    found = rounded(evaluate(evidence, Policy(intents=("price",)), at(31)).to_dict())
    json.dumps(found, allow_nan=False)
    assert found == frozen("verdict.json", found)
