"""The context variables that V2 runs under: the caller's, minus every channel by which production would hear of it."""

from __future__ import annotations

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers import context as tracers

from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext

_SILENT = BaseCallbackHandler()


def enter_shadow(scope: ShadowContext, config: RunnableConfig) -> None:
    """Mark the current context as ``scope``'s shadow. Call it in a copied context: nothing is put back."""
    SHADOW.set(scope)
    var_child_runnable_config.set(config)
    _drop_configured_handlers()
    _leave_langsmith()


def _drop_configured_handlers() -> None:
    """Usage counters, run collectors and tracers that production keeps in context variables.

    One that an environment variable switches on would be made anew where the variable holds nothing.
    """
    for variable, _, _, switch in tracers._configure_hooks:
        variable.set(_SILENT if switch is not None else None)


def _leave_langsmith() -> None:
    from langsmith.run_helpers import _set_tracing_context

    # enabled False, not None: None would ask the environment, which says yes in production
    _set_tracing_context(
        {"parent": None, "enabled": False, "project_name": None, "tags": None, "metadata": None, "client": None}
    )
