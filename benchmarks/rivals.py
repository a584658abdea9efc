"""What a user would pick instead, on the same work: each gives a graph."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from langgraph._internal._runnable import RunnableSeq
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks import workload
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow.config import ShadowConfig
from otel_shadow.flags import FeatureFlags

ATTRIBUTES = {f"shadow.attribute_{number}": "value" for number in range(8)}
"""Of the bare span that is the unit of the tables."""


@dataclass
class Variant:
    """One design under measurement.

    Arguments:
        name: its row in the table.
        graph: the graph that runs under it.
        settle: waits for what it left running, outside the measured time.
        awaited: whether its nodes are coroutines.
    """

    name: str
    graph: Any
    settle: Callable[[], Any] = field(default=lambda: None)
    awaited: bool = False


class Nowhere(SpanExporter):
    """Takes spans and drops them: an exporter's cost is not measured here."""

    def export(self, spans: Any) -> SpanExportResult:
        """Drop ``spans``."""
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    """Return a recording provider with a batch processor."""
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(Nowhere()))
    return made


def plain(awaited: bool = False) -> Variant:
    """Return the graph without a shadow."""
    return Variant("no shadow", workload.graph_of(_v1(awaited)), awaited=awaited)


def _v1(awaited: bool) -> Any:
    return workload.av1 if awaited else workload.v1


def bare_span(awaited: bool = False) -> Variant:
    """Put one recording span with eight attributes around each node: the unit of the table."""
    tracer = provider().get_tracer("bench")

    class Spanned(RunnableSeq):
        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            with tracer.start_as_current_span("v1.node", attributes=ATTRIBUTES):
                return super().invoke(input, config, **kwargs)

        async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            with tracer.start_as_current_span("v1.node", attributes=ATTRIBUTES):
                return await super().ainvoke(input, config, **kwargs)

    graph = workload.graph_of(_v1(awaited))
    for key in workload.NODES:
        sequence = copy.copy(graph.nodes[key].node)
        sequence.__class__ = Spanned
        graph.nodes[key].__dict__["node"] = sequence
    return Variant("bare span", graph, awaited=awaited)


def ours(name: str = "otel-shadow", *, awaited: bool = False, **flags: Any) -> Variant:
    """Return otel-shadow with everything on: spans, metrics, log lines."""
    config = ShadowConfig.from_mapping(
        {"nodes": {key: {} for key in workload.NODES}, "arms": {"holdout": 0.0}, "limits": {"queue": 100_000}}
    )
    manager = ShadowTrafficManager(config, FeatureFlags(**flags), tracer_provider=provider(), log_file="/dev/null")
    graph = workload.graph_of(_v1(awaited))
    attach(graph, manager, lambda _, key: _v1(awaited))
    return Variant(name, graph, settle=lambda: manager.flush(30), awaited=awaited)


def naive() -> Variant:
    """Await V1, then wait for V2 on a deep copy: what many would write first."""

    def node(state: Any) -> Any:
        before = copy.deepcopy(state)
        result = workload.v1(state)
        thread = threading.Thread(target=workload.v1, args=(before,))
        thread.start()
        thread.join()
        return result

    return Variant("naive shadow", workload.graph_of(node))


def laboratory() -> Variant:
    """``laboratory`` (scientist for Python), with a deep copy for the candidate."""
    from laboratory import Experiment

    def node(state: Any) -> Any:
        experiment = Experiment()
        experiment.control(workload.v1, args=[state])
        experiment.candidate(workload.v1, args=[copy.deepcopy(state)])
        return experiment.conduct()

    return Variant("laboratory", workload.graph_of(node))


def migrator() -> Variant:
    """Return LaunchDarkly's migrator in stage ``shadow``, parallel, offline."""
    import ldclient
    from ldclient import Config, Context, ExecutionOrder, LDClient, MigratorBuilder, Result, Stage
    from ldclient.integrations.test_data import TestData

    data = TestData.data_source()
    data.update(data.flag("nodes").variations("shadow").variation_for_all(0))
    client = LDClient(Config("offline", update_processor_class=data, send_events=False))
    builder = MigratorBuilder(client)
    builder.read_execution_order(ExecutionOrder.PARALLEL)
    read = lambda state: Result.success(workload.v1(state))  # noqa: E731 - the library takes functions
    builder.read(read, lambda state: Result.success(workload.v1(copy.deepcopy(state))), lambda one, two: one == two)
    builder.write(read, read)
    built = builder.build()
    if isinstance(built, str):
        raise RuntimeError(built)
    context = Context.create("session_1")

    def node(state: Any) -> Any:
        return built.read("nodes", context, Stage.SHADOW, state).value

    _ = ldclient
    return Variant("LaunchDarkly Migrator", workload.graph_of(node))


def fire_and_forget() -> Variant:
    """Run V2 on a deep copy in a pool of threads that no caller waits for: what many would write next."""
    pool = ThreadPoolExecutor(4)
    pending: list[Any] = []

    def node(state: Any) -> Any:
        pending.append(pool.submit(workload.v1, copy.deepcopy(state)))
        return workload.v1(state)

    def settle() -> None:
        wait(pending)
        pending.clear()

    return Variant("threads, fire and forget", workload.graph_of(node), settle=settle)


RIVALS = (naive, laboratory, migrator, fire_and_forget)


def available() -> list[Variant]:
    """Return those whose libraries are installed (dependency group ``bench``)."""
    found = []
    for make in RIVALS:
        try:
            found.append(make())
        except ImportError as error:
            print(f"{make.__name__}: left out ({error.name} is not installed)")
    return found
