"""What goes of OpenTelemetry's context to a worker process, so that V2 sees there what V1 saw here."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from opentelemetry import baggage, context
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_shadow._runtime.snapshot.pickling import dumps_for_another_process
from otel_shadow._telemetry.outgoing_mark import OutgoingMark

_MOST_BYTES = 64 * 1024
"""Bytes that one value of the context may have."""
_OF_ONE_PROCESS = re.compile(r".*-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.DOTALL)
"""Keys that ``create_key`` has made: each process has others."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The trace context in W3C headers, the baggage, and those values of the context that can go."""

    headers: Mapping[str, str]
    baggage: Mapping[str, bytes]
    values: Mapping[str, bytes]
    mark: OutgoingMark
    silent: bool
    """Whether instrumentations are to be silent there, too."""

    @classmethod
    def of(cls, inside: Context, mark: OutgoingMark, *, silent: bool) -> WorkerContext:
        """Return it of ``inside``, whose current span is V2's."""
        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers, inside)
        plain = {key: value for key, value in inside.items() if not _OF_ONE_PROCESS.fullmatch(key)}
        return cls(headers, dict(_packed(baggage.get_all(inside))), dict(_packed(plain)), mark, silent)

    def unpacked(self) -> Context:
        """Return the context, in the worker; without what can't be made again there."""
        inside = TraceContextTextMapPropagator().extract(self.headers, Context())
        for key, value in _unpacked(self.values):
            inside = context.set_value(key, value, inside)
        for key, value in _unpacked(self.baggage):
            inside = baggage.set_baggage(key, value, inside)
        return self.mark.put_into(inside)


def _packed(values: Mapping[str, object]) -> Iterator[tuple[str, bytes]]:
    for key, value in values.items():
        with suppress(Exception):  # the application's classes raise anything
            packed = bytes(dumps_for_another_process(value))
            if len(packed) <= _MOST_BYTES:
                yield key, packed


def _unpacked(values: Mapping[str, bytes]) -> Iterator[tuple[str, Any]]:
    for key, packed in values.items():
        with suppress(Exception):  # as above
            yield key, pickle.loads(packed)  # noqa: S301 - from the parent process
