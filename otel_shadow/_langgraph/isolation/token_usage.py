"""What V2's models spend, from the usage metadata of their answers."""

from __future__ import annotations

import threading
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

_MOST = 2**40


def _sane(tokens: int) -> int:
    """Whatever a model claims: one number that no exporter can write would keep back all metrics of the process."""
    return min(max(int(tokens), 0), _MOST)


class TokenCounter(BaseCallbackHandler):
    """Adds up tokens of every model that runs under the shadow's own callback manager, and only there.

    Arguments:
        tokens: where the sums go, under ``input`` and ``output``.
    """

    run_inline = True

    def __init__(self, tokens: dict[str, int]) -> None:
        self._tokens = tokens
        self._lock = threading.Lock()

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Add the usage of each prompt's first answer: providers report it once per prompt."""
        for generations in response.generations:
            if generations and isinstance(generations[0], ChatGeneration):
                message = generations[0].message
                if isinstance(message, AIMessage) and message.usage_metadata:
                    self._add(message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"])

    def _add(self, given: int, made: int) -> None:
        with self._lock:
            self._tokens["input"] = self._tokens.get("input", 0) + _sane(given)
            self._tokens["output"] = self._tokens.get("output", 0) + _sane(made)
