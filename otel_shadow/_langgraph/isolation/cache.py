"""The cache of model answers inside a shadow: production's answers may be read, V2's must never be served to V1."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache, InMemoryCache

from otel_shadow._langgraph.patches import Patches
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext


class OverlayCache(BaseCache):
    """Reads fall through to ``base``; updates stay here.

    Arguments:
        base: production's cache.
    """

    def __init__(self, base: BaseCache) -> None:
        self._base = base
        self._own = InMemoryCache()

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """V2's own answer, else production's."""
        return self._own.lookup(prompt, llm_string) or self._base.lookup(prompt, llm_string)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Remember it for this shadow."""
        self._own.update(prompt, llm_string, return_val)

    def clear(self, **kwargs: Any) -> None:
        """Forget what this shadow added."""
        self._own.clear(**kwargs)

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """The same as :meth:`lookup`, awaited."""
        return self._own.lookup(prompt, llm_string) or await self._base.alookup(prompt, llm_string)


def _overlay(scope: ShadowContext, cache: BaseCache) -> OverlayCache:
    if isinstance(cache, OverlayCache):
        return cache
    return cast("OverlayCache", scope.state.setdefault(("llm_cache", id(cache)), OverlayCache(cache)))


def guard_llm_cache(patches: Patches) -> None:
    """Give models inside a shadow an overlay, of the global cache and of a model's own."""
    from langchain_core.language_models import chat_models, llms

    patches.replace(chat_models, "get_llm_cache", _covered)
    patches.replace(llms, "_resolve_cache", _covered)
    patches.replace(chat_models.BaseChatModel, "_generate_with_cache", _on_twin)
    patches.replace(chat_models.BaseChatModel, "_agenerate_with_cache", _aon_twin)


def _covered(original: Callable[..., BaseCache | None]) -> Callable[..., BaseCache | None]:
    @functools.wraps(original)
    def resolve(*args: Any, **kwargs: Any) -> BaseCache | None:
        cache, scope = original(*args, **kwargs), SHADOW.get()
        return cache if cache is None or scope is None else _overlay(scope, cache)

    return resolve


def _twin(model: Any) -> Any:
    """The model, or inside a shadow a copy of it whose own cache is covered: the model itself is V1's too."""
    scope = SHADOW.get()
    if scope is None or not isinstance(model.cache, BaseCache) or isinstance(model.cache, OverlayCache):
        return model
    return model.model_copy(update={"cache": _overlay(scope, model.cache)})


def _on_twin(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(_twin(self), *args, **kwargs)

    return generate


def _aon_twin(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await original(_twin(self), *args, **kwargs)

    return generate
