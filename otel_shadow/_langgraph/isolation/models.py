"""Chat models inside a shadow: a private cache of their answers, and a count of the tokens they spend."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, cast

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache, InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from otel_shadow._langgraph.patches import Patches, changing_arguments
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

_MOST_TOKENS = 2**40
"""One number that no exporter can write would keep back all metrics of the process, whatever a model claims."""


class PrivateCache(BaseCache):
    """A cache whose reads fall through to production's, and whose updates are never served to V1."""

    def __init__(self, base: BaseCache) -> None:
        self._base = base
        self._own = InMemoryCache()

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        return self._own.lookup(prompt, llm_string) or self._base.lookup(prompt, llm_string)

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        return self._own.lookup(prompt, llm_string) or await self._base.alookup(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        self._own.update(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        self._own.clear(**kwargs)


def guard_model_caches(patches: Patches) -> None:
    """Give models inside a shadow a private cache, for the global cache and for a model's own."""
    from langchain_core.language_models import chat_models, llms

    patches.replace(chat_models, "get_llm_cache", _found_privately)
    patches.replace(llms, "_resolve_cache", _found_privately)
    for method in ("_generate_with_cache", "_agenerate_with_cache"):
        patches.replace(chat_models.BaseChatModel, method, changing_arguments(_on_copy))


def _found_privately(original: Callable[..., BaseCache | None]) -> Callable[..., BaseCache | None]:
    @functools.wraps(original)
    def resolve(*args: Any, **kwargs: Any) -> BaseCache | None:
        cache, scope = original(*args, **kwargs), SHADOW.get()
        return cache if cache is None or scope is None else _private(scope, cache)

    return resolve


def _on_copy(model: Any, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put a copy with a private cache in the place of a model that has a cache of its own: the model is V1's too."""
    scope = SHADOW.get()
    if scope is not None and isinstance(model.cache, BaseCache):
        model = model.model_copy(update={"cache": _private(scope, model.cache)})
    return (model, *args), kwargs


def _private(scope: ShadowContext, cache: BaseCache) -> PrivateCache:
    if isinstance(cache, PrivateCache):
        return cache
    return cast("PrivateCache", scope.state.setdefault(("llm_cache", id(cache)), PrivateCache(cache)))


class TokenCounter(BaseCallbackHandler):
    """A counter, by ``input`` and ``output``, of the tokens of models under the shadow's own callback manager alone."""

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
                    self._add("input", message.usage_metadata["input_tokens"])
                    self._add("output", message.usage_metadata["output_tokens"])

    def _add(self, kind: str, tokens: int) -> None:
        with self._lock:
            self._tokens[kind] = self._tokens.get(kind, 0) + min(max(int(tokens), 0), _MOST_TOKENS)
