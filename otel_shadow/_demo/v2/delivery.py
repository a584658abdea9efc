"""The last stage of a V2 pipeline: one state update from the stages' results."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage

from otel_shadow._demo.state import INFORMATION, EnrolmentState
from otel_shadow._demo.v2.resolver import Resolution
from otel_shadow._demo.v2.router import Routing


def deliver(
    state: EnrolmentState,
    resolution: Resolution,
    routing: Routing,
    business: dict[str, Any],
    answer: str,
    asked: str | None,
) -> dict[str, Any]:
    """Return the update: the business node's fields, the answer as a message, where to go, and why."""
    # A question on the way does not move the conversation: it goes on where it stood.
    stage = state.get("current_stage", "greeting") if resolution.node == INFORMATION else resolution.node
    update = {
        **business,
        "visited": [*state.get("visited", []), resolution.node],
        "current_stage": stage,
        "next_node": routing.target,
        "intent": routing.plan.intent,
        "intent_score": routing.plan.intent_score,
        "pattern_score": routing.plan.pattern_score,
        "router_confidence": routing.confidence,
        "threshold_action": routing.action,
        "planned_target": routing.plan.target,
    }
    if answer:
        update["messages"] = [AIMessage(answer)]
    if asked:
        update["requested_slot"] = asked
    return update
