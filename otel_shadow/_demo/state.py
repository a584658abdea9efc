"""The state of the enrolment assistant: one flat schema that V1 and V2 share."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

Language = Literal["pt", "en"]

GREETING = "greeting"
QUALIFICATION = "qualification"
INFORMATION = "information"
SCHEDULING = "scheduling"
HUMAN = "human"
BUSINESS_NODES = (GREETING, QUALIFICATION, INFORMATION, SCHEDULING)

# Steps, in the order in which a conversation passes them.
PARENT_NAME = "parent_name_collection"
CHILD_NAME = "child_name_collection"
AGE = "age_collection"
EDUCATION = "education_level_collection"
QUALIFIED = "qualification_complete"
ANSWERING = "information_answer"
CLARIFYING = "information_clarification"
DATE = "date_collection"
TIME = "time_collection"
CONFIRMATION = "booking_confirmation"
BOOKED = "booking_complete"
WITH_HUMAN = "human_handoff"
STEPS = (
    PARENT_NAME, CHILD_NAME, AGE, EDUCATION, QUALIFIED, ANSWERING, CLARIFYING, DATE, TIME, CONFIRMATION, BOOKED,
    WITH_HUMAN,
)  # fmt: skip


class OutboxItem(TypedDict, total=False):
    """Something to be said: what it is, never how it is worded."""

    kind: str
    slot: str
    value: str


class EnrolmentState(TypedDict, total=False):
    """What the graph carries from turn to turn; every key is optional, as in any checkpoint that grew."""

    session_id: str
    messages: Annotated[list[AnyMessage], add_messages]
    language: Language
    reference_datetime: str  # ISO 8601, local: what "tomorrow" is counted from

    current_stage: str
    current_step: str
    next_node: str
    visited: list[str]  # the nodes that ran in this turn, so that none runs twice

    parent_name: str
    child_name: str
    child_age: int
    education_level: str
    topic: str
    requested_slot: str
    requested_date: str  # ISO date
    requested_time: str  # HH:MM
    booking_confirmed: bool

    intent: str
    intent_score: float
    pattern_score: float
    router_confidence: float
    threshold_action: str
    planned_target: str  # where the router would go if it were sure enough, whatever its action
    missing_slots: list[str]
    outbox: list[OutboxItem]


def last_user_text(state: EnrolmentState) -> str:
    """Return the text of the last human message, or an empty string; content blocks are joined."""
    for message in reversed(state.get("messages", [])):
        if message.type == "human":
            return str(message.text)
    return ""
