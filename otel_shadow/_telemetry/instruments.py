"""The instruments of one meter provider: made once, whatever managers use them, and found anew where it has changed.

OpenTelemetry keeps the first of two observable gauges of one name, so that those of a second manager would never be
seen: there is one set in the process, which observes all managers that live.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

from otel_shadow import semconv
from otel_shadow._runtime.process_lifecycle import on_fork
from otel_shadow.semconv import Metric

if TYPE_CHECKING:
    from otel_shadow._runtime.engine import Engine

Attributes = Mapping[str, str | bool]
Place = tuple[str, str]
"""A graph's and a node's name."""
Series = tuple[Metric, Attributes]
_AT_ONCE = 16
"""Nodes of a process whose series start at zero before they run; others (a graph per customer) as they first run."""


class Instruments:
    """Counters and histograms of one meter, and its observable gauges over the engines that are bound to it."""

    def __init__(self, provider: MeterProvider | None) -> None:
        self._meter = metrics.get_meter(semconv.SCOPE, semconv.scope_version(), provider, semconv.SCHEMA_URL)
        self._engines: list[tuple[ref[Engine], Counter[str]]] = []
        self._gone: Counter[str] = Counter()
        """What engines that are no more had swallowed: a counter never falls."""
        self._zeros: dict[Place, Sequence[Series]] = {}
        self._is_observed = False
        self.duration = self._histogram(semconv.NODE_DURATION, semconv.DURATION_BUCKETS_S)
        self.overhead = self._histogram(semconv.OVERHEAD, semconv.OVERHEAD_BUCKETS_S)
        self._counters = {
            metric.name: self._meter.create_counter(metric.name, metric.unit, metric.description)
            for metric in semconv.METRICS
            if metric.kind == "counter" and metric is not semconv.SWALLOWED
        }
        gauge, counter = self._meter.create_observable_gauge, self._meter.create_observable_counter
        for create, metric, observe in (
            (gauge, semconv.QUEUE_DEPTH, self._depth),
            (gauge, semconv.INFLIGHT, self._inflight),
            (gauge, semconv.SLA_OBJECTIVE, self._objectives),
            (gauge, semconv.LIMITER_STATE, self._limiters),
            (counter, semconv.SWALLOWED, self._swallowed),
        ):
            create(metric.name, [_observed(observe)], metric.unit, metric.description)

    def add(self, metric: Metric, amount: int, attributes: Attributes, context: Any = None) -> None:
        """Add ``amount`` to the series of ``metric`` with ``attributes``, in ``context``."""
        self._counters[metric.name].add(amount, checked(metric, attributes), context)

    def bind(self, engine: Engine) -> None:
        """Observe ``engine`` for as long as it lives."""
        self._engines.append((ref(engine), engine.fault_barrier.counts))

    def start(self, place: Place, series: Callable[[], Sequence[Series]], *, has_run: bool) -> None:
        """Start the known series of a node at zero, once: now, or when it first runs, where there are many nodes."""
        if place not in self._zeros and (has_run or len(self._zeros) < _AT_ONCE):
            zeros = self._zeros[place] = series()
            for metric, attributes in zeros:
                self.add(metric, 0, attributes)

    @property
    def started(self) -> list[Place]:
        """Return the nodes whose series have started."""
        return list(self._zeros)

    def add_zeros(self) -> None:
        """Start all series once more: the provider that they are to be seen by has come later than they."""
        for metric, attributes in [one for zeros in list(self._zeros.values()) for one in zeros]:
            self.add(metric, 0, attributes)

    def _histogram(self, metric: Metric, buckets: tuple[float, ...]) -> metrics.Histogram:
        return self._meter.create_histogram(
            metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=buckets
        )

    # --- called when a reader collects: by its thread ----------------------------------------------------------------

    def _known(self) -> list[Engine]:
        """Return the living engines, those that work and the newest first; the counts of the others are kept."""
        if not self._is_observed:  # the first look of a provider that was set after the instruments were made
            self._is_observed = True
            self.add_zeros()
        living = []
        for entry in list(self._engines):
            engine = entry[0]()
            if engine is not None:
                living.append(engine)
                continue
            with suppress(ValueError):  # another reader was faster
                self._engines.remove(entry)
                self._gone.update(entry[1])
        living.reverse()
        living.sort(key=lambda engine: engine.dispatcher.closed)
        return living

    def _depth(self) -> list[Observation]:
        known = self._known()
        return [Observation(sum(engine.dispatcher.depth for engine in known))] if known else []

    def _inflight(self) -> list[Observation]:
        known = self._known()
        return [Observation(sum(engine.dispatcher.inflight for engine in known))] if known else []

    def _objectives(self) -> list[Observation]:
        bounds: dict[str, float] = {}
        for engine in self._known():
            for name, bound in engine.config.sla.objectives().items():
                bounds.setdefault(name, bound)
        return [Observation(bound, {semconv.CRITERION: name}) for name, bound in bounds.items()]

    def _limiters(self) -> list[Observation]:
        paused: dict[tuple[str, str, str], int] = {}
        for engine in self._known():
            for (graph, node), known in dict(engine.nodes).items():
                if (graph, node) in self._zeros:
                    for reason in semconv.LIMITER_REASONS:
                        series = graph, node, reason
                        paused[series] = max(paused.get(series, 0), int(known.limiter.reason == reason))
        return [
            Observation(state, {semconv.GRAPH: graph, semconv.NODE: node, semconv.REASON: reason})
            for (graph, node, reason), state in paused.items()
        ]

    def _swallowed(self) -> list[Observation]:
        if not self._known() and not self._gone:
            return []
        counts: Counter[str] = Counter(dict.fromkeys(semconv.OPERATIONS, 0))
        counts.update(self._gone)
        for _, known in list(self._engines):
            counts.update(dict(known))
        return [Observation(count, {semconv.OPERATION: name}) for name, count in counts.items()]


def _observed(values: Callable[[], list[Observation]]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: values()


def checked(metric: Metric, attributes: Attributes) -> Attributes:
    """Return ``attributes``, all of which ``semconv`` lists for ``metric``.

    Raises:
        ValueError: one of them is not listed.
    """
    unknown = attributes.keys() - set(metric.attributes)
    if unknown:
        raise ValueError(f"{metric.name} has no attribute {sorted(unknown)}")
    return attributes


class _Shared:
    """The instruments of the process, by their provider."""

    def __init__(self) -> None:
        self._by_provider: WeakKeyDictionary[Any, Instruments] = WeakKeyDictionary()
        self._early: Instruments | None = None
        """Made before a global provider was: OpenTelemetry has them work for the one that is set first."""
        self._reset()
        on_fork(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()

    def of(self, given: MeterProvider | None) -> Instruments:
        provider = metrics.get_meter_provider() if given is None else given
        known = self._by_provider.get(provider)
        if known is None:
            with self._lock:
                known = self._by_provider.get(provider)
                if known is None:
                    known = self._by_provider[provider] = self._made(given, provider)
        return known

    def _made(self, given: MeterProvider | None, provider: MeterProvider) -> Instruments:
        if given is not None:
            return Instruments(given)
        if type(provider).__module__.startswith(_API):
            self._early = Instruments(None)
            return self._early
        early, self._early = self._early, None
        if early is None:
            return Instruments(None)
        early.add_zeros()
        return early


_API = "opentelemetry.metrics."
"""Where the classes of the API are, which stand for a provider that is still to come."""
_SHARED = _Shared()


def instruments_of(provider: MeterProvider | None) -> Instruments:
    """Return the instruments of ``provider``; None: of the global one as it is now."""
    return _SHARED.of(provider)
