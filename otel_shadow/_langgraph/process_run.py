"""V2 in a worker process: what is sent there, how it runs there, and what comes back.

The worker has V2's own copy of the state and of the configuration, and nothing of production's: no store, no stream, no
channels, no run control. Everything else of a shadow (its decision, the comparison) stays with the parent.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import pickle
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from types import MethodType
from typing import Any, NamedTuple

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph._internal._runnable import RunnableCallable
from langgraph.pregel._algo import PregelScratchpad  # type: ignore[attr-defined,unused-ignore]
from langgraph.runtime import Runtime

from otel_shadow._langgraph import internals
from otel_shadow._langgraph.isolation.configuration import callbacks, enter_shadow
from otel_shadow._langgraph.isolation.guards import install_guards
from otel_shadow._langgraph.isolation.tasks import LocalCalls
from otel_shadow._langgraph.v2_runnable import as_runnable, is_async
from otel_shadow._runtime.code_location import code_location
from otel_shadow._runtime.debug_mode import show
from otel_shadow._runtime.executors.process import WorkerPool
from otel_shadow._runtime.executors.run_time import RunTime
from otel_shadow._runtime.rate_limit import is_rate_limited
from otel_shadow._runtime.redact import class_name, class_of_name
from otel_shadow._runtime.shadow_context import SHADOW, ShadowContext, within_v2
from otel_shadow._runtime.snapshot.pickling import dumps_for_another_process
from otel_shadow._telemetry.spans import enter_in_worker
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError

_SERVE = "otel_shadow._langgraph.process_run:serve"
_LACKING = {"store": "the live store", "writer": "the stream writer"}


class Noted(NamedTuple):
    """What a shadow's context in the worker holds at the end: tokens by kind, names of tools, how V2 failed."""

    tokens: dict[str, int]
    blocked: list[str]
    declared: set[str]
    location: str | None
    rate_limited: bool

    @classmethod
    def of(cls, scope: ShadowContext) -> Noted:
        """Return it of the worker's ``scope``."""
        return cls(scope.tokens, scope.blocked, scope.declared, scope.location, scope.rate_limited)

    def add_to(self, scope: ShadowContext) -> None:
        """Add it to the parent's ``scope``."""
        for kind, spent in self.tokens.items():
            scope.tokens[kind] = scope.tokens.get(kind, 0) + spent
        scope.blocked.extend(self.blocked)
        scope.declared.update(self.declared)
        scope.location = self.location
        scope.rate_limited = self.rate_limited


class RemoteError(Exception):
    """A V2's exception that could not be sent back; a subclass carries its name."""


class Answer(NamedTuple):
    """What comes back: V2's value, what it raised, what was noted meanwhile, and how long it ran."""

    value: Any
    error: BaseException | None
    noted: Noted
    ran_s: float
    """Seconds of V2's own: without the way there and back, imports, and waiting for a core."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is sent to the worker: V2's import path, its copy of the state, and what its configuration is made of."""

    path: str
    state: Any
    config: RunnableConfig
    """Tags, metadata and recursion limit, and of the configurable keys the user's own."""
    context: Any
    previous: Any
    answers: tuple[list[Any], Any]
    namespace: str
    scope: ShadowContext


class Remote(Runnable[Any, Any]):
    """V2 that runs in a worker while it is a shadow, under the shadow's time limit; live, V2 runs in this process."""

    def __init__(self, path: str, native: Runnable[Any, Any], pool: WorkerPool) -> None:
        self.path = path
        self.native = native
        self._pool = pool
        pool.include(path)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Return V2's value.

        Raises:
            BaseException: what V2 raised, or a :class:`RemoteError` of its name.
            TimeoutError: V2 took too long, and its worker was ended.
            WorkerBusyError: no worker could run V2, or V2 got no core: no fault of V2's.
            WorkerDiedError: V2 ended its process.
            AnswerTooLargeError: what V2 returned is too large to be sent.
        """
        scope = SHADOW.get()
        if scope is None or config is None:
            return self.native.invoke(input, config, **kwargs)
        payload = dumps_for_another_process(task_of(self.path, input, config, scope))
        try:
            packed = self._pool.call(_SERVE, payload, scope.timeout_s)
        except TimeoutError:
            scope.ran_s = scope.timeout_s
            raise
        answer: Answer = pickle.loads(packed)  # noqa: S301 - a worker's
        scope.ran_s = answer.ran_s
        answer.noted.add_to(scope)
        if answer.error is not None:
            raise _named(answer.error)
        return answer.value

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Await V2's value; inside a shadow call :meth:`invoke`, in another thread."""
        if SHADOW.get() is None:
            return await self.native.ainvoke(input, config, **kwargs)
        return await asyncio.to_thread(self.invoke, input, config, **kwargs)


def importable(v2: Any, node: str, config: ShadowConfig) -> str:
    """Return the import path by which a worker finds ``v2``.

    A ConfigError says that it has none, or that process mode lacks what it needs.
    """
    where = f'nodes.{node}: executor = "process"'
    if config.tools.replay:
        raise ConfigError([f'{where} can\'t replay tool calls; empty tools.replay, or use executor = "thread"'])
    path = v2 if isinstance(v2, str) else path_of(v2)
    if path is None or path.startswith("__main__:"):
        raise ConfigError([f'{where} needs a V2 that can be imported; name it "module:function", outside __main__'])
    lacking = [_LACKING[name] for name in _parameters(v2) if name in _LACKING]
    if lacking:
        raise ConfigError([f'{where} has no {" and no ".join(lacking)}; take it out of V2, or use executor = "thread"'])
    return path


def serve(payload: bytes, begin: Callable[[], None] = lambda: None) -> bytes:
    """Run a task in the worker, and return what came of it; what V2 raises is in the answer.

    Arguments:
        payload: a pickled :class:`Task`.
        begin: called when V2's own time begins.
    """
    task: Task = pickle.loads(payload)  # noqa: S301 - from the parent process
    return _packed(*contextvars.copy_context().run(_run, task, begin), task.scope)


def rehearse(v2s: Sequence[str]) -> None:
    """Do in a worker, before it is ready, all that a first job would find undone, without running any of ``v2s``."""
    for path in v2s:
        worker_v2(path)
    nothing: RunnableConfig = {"tags": [], "metadata": {}, internals.CONF: {}}
    for v2 in (_nothing, _awaited_nothing):
        path = f"{__name__}:{v2.__name__}"
        task = Task(path, {}, nothing, None, None, ([], None), "-", ShadowContext("-", "-"))
        pickle.loads(serve(pickle.dumps(task, 5)))  # noqa: S301 - made here


# --- the parent's side -----------------------------------------------------------------------------------------------


def task_of(path: str, state: Any, config: RunnableConfig, scope: ShadowContext) -> Task:
    """Make what is sent to a worker: V2 at ``path`` on ``state``, and of ``config`` what can go there."""
    conf = config[internals.CONF]
    runtime, scratchpad = conf.get(internals.RUNTIME), conf.get(internals.SCRATCHPAD)
    own: RunnableConfig = {
        "tags": list(config.get("tags") or []),
        "metadata": _what_can_go(config.get("metadata") or {}),
        "recursion_limit": config.get("recursion_limit", 25),
        internals.CONF: _what_can_go(
            {key: item for key, item in conf.items() if not key.startswith(internals.PRIVATE_PREFIX)}
        ),
    }
    return Task(
        path=path,
        state=state,
        config=own,
        context=runtime.context if runtime is not None else None,
        previous=runtime.previous if runtime is not None else None,
        answers=internals.answers_of(scratchpad) if scratchpad is not None else ([], None),
        namespace=str(conf.get(internals.CHECKPOINT_NS) or ""),
        scope=ShadowContext(scope.graph, scope.node, scope.tools, scope.declared, carrier=scope.carrier),
    )


def _named(error: BaseException) -> BaseException:
    """Make an exception of the name of one that could not be sent: the name is what is recorded."""
    if not isinstance(error, RemoteError):
        return error
    return class_of_name(str(error), RemoteError)()


def _what_can_go(items: Mapping[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in items.items() if _can_go(item)}


def _can_go(item: Any) -> bool:
    if item is None or isinstance(item, str | int | float):
        return True
    try:
        dumps_for_another_process(item)
    except Exception:  # noqa: BLE001 - user classes raise anything
        return False
    return True


def function_of(v2: Any) -> Any:
    """Return the plain function behind ``v2``, else ``v2`` itself."""
    if isinstance(v2, RunnableCallable):
        v2 = v2.func or v2.afunc
    return inspect.unwrap(v2) if callable(v2) else v2


def path_of(v2: Any) -> str | None:
    """Return the import path of a module-level function; None where it has none."""
    function = function_of(v2)
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or "<" in name:
        return None
    try:
        found = resolve_name(f"{module}:{name}")
    except (ImportError, AttributeError, ValueError):
        return None
    again = function_of(found)
    same = again == function if isinstance(function, MethodType) else again is function  # a class method is bound anew
    return f"{module}:{name}" if same else None


def _parameters(v2: Any) -> list[str]:
    try:
        found = resolve_name(v2) if isinstance(v2, str) else v2
        return list(inspect.signature(function_of(found)).parameters)
    except (ImportError, AttributeError, TypeError, ValueError):
        return []


# --- the worker's side -----------------------------------------------------------------------------------------------


def _run(task: Task, begin: Callable[[], None]) -> tuple[Any, BaseException | None, float]:
    """Run V2, and return its value, what it raised, and how long it ran."""
    time: RunTime | None = None
    value, raised = None, None
    try:
        install_guards()
        v2 = worker_v2(task.path)
        awaited = is_async(v2)
        config = worker_config(task, awaited)
        enter_shadow(task.scope, config)
        if task.scope.carrier is not None:
            enter_in_worker(task.scope.carrier)
        begin()
        time = RunTime()
        value = asyncio.run(v2.ainvoke(task.state, config)) if awaited else v2.invoke(task.state, config)
    except BaseException as error:  # noqa: BLE001 - V2 may raise anything; the parent is told
        task.scope.location = code_location(error)
        task.scope.rate_limited = is_rate_limited(error)
        show(f"V2 of node {task.scope.node!r}", error)
        raised = error
    return value, raised, time.seconds if time is not None else 0.0


def _nothing(state: Any) -> Any:
    """Do nothing, as a V2."""
    return {}


async def _awaited_nothing(state: Any) -> Any:
    """Do nothing, as a V2 that is awaited."""
    return {}


@functools.lru_cache(256)
def worker_v2(path: str) -> Runnable[Any, Any]:
    """Return the V2 at ``path``, imported."""
    with within_v2():
        return as_runnable(resolve_name(path))


def worker_config(task: Task, awaited: bool) -> RunnableConfig:
    """Return the configuration with which V2 is called; ``awaited``: whether it is awaited."""
    resume, answer = task.answers
    writes: deque[tuple[str, Any]] = deque()
    conf: dict[str, Any] = {
        **task.config[internals.CONF],
        internals.SEND: writes.extend,
        internals.CHECKPOINTER: None,
        internals.CHECKPOINT_NS: task.namespace,
        internals.SCRATCHPAD: PregelScratchpad(
            step=0,
            stop=1,
            **internals.Answers(resume, answer).fields(),
        ),
        internals.RUNTIME: Runtime(  # a worker has neither store nor stream
            context=task.context, store=None, stream_writer=lambda _: None, previous=task.previous
        ),
    }
    config: RunnableConfig = {**task.config, "callbacks": callbacks(task.scope, awaited), internals.CONF: conf}
    conf[internals.CALL] = LocalCalls().bind(config)
    return config


def _packed(value: Any, error: BaseException | None, ran_s: float, scope: ShadowContext) -> bytes:
    answer = Answer(value, error, Noted.of(scope), ran_s)
    try:
        packed = dumps_for_another_process(answer)
        if error is not None:
            pickle.loads(packed)  # noqa: S301 - made here; exceptions often pickle into what can't be restored
        return packed
    except Exception as fault:  # noqa: BLE001 - user classes raise anything
        remote = RemoteError(class_name(type(error or fault)))
        return pickle.dumps(answer._replace(value=None, error=remote), 5)
