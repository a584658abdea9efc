"""The chat model of the demo: deterministic, no network. A real one is injected in its place."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

DRAFT = "Draft:"


class DraftingChatModel(BaseChatModel):
    """Answers with the draft that the planner put into the prompt: what a well-behaved model would stay close to."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = str(messages[0].text) if messages else ""
        answer = prompt.partition(DRAFT)[2].strip()
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])

    @property
    def _llm_type(self) -> str:
        return "drafting"
