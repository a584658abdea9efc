"""Rows on their way into a summary."""

from __future__ import annotations

from array import array
from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otel_shadow.evidence.decode import Execution
from otel_shadow.verdict.execution_kind import Signature
from otel_shadow.verdict.executions import Rows, Sample, Summary, moment
from otel_shadow.verdict.latency import buckets
from otel_shadow.verdict.lines_read import Reading

_EXAMPLES = 10
_SAMPLES = 10


class Collector:
    """Takes executions one by one or by the column, counts what was skipped, and makes a summary of it."""

    def __init__(self) -> None:
        self._kinds: dict[Signature, int] = {}
        self._samples: dict[Signature, set[Sample]] = {}
        self._blocks: list[Rows] = []
        self._columns: dict[str, Any] = {name: array(code) for name, code in _COLUMNS.items()}
        self.sources: list[str] = []
        self.lines = self.bytes = self.used = self.other_lines = self.malformed = self.truncated = 0
        self.other_schema: Counter[str] = Counter()
        self.examples: list[str] = []

    def example(self, sentence: str) -> None:
        """Keep a sentence about a line that was skipped, if there are few yet."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(sentence)

    def one(self, execution: Execution) -> None:
        """One execution."""
        columns = self._columns
        columns["pair"].append(execution.pair)
        columns["session"].append(execution.session)
        columns["time"].append(execution.time)
        columns["kind"].append(self._kind(execution.signature))
        columns["v1"].append(execution.v1_ms)
        columns["v2"].append(execution.v2_ms)
        self.used += 1
        if worth_a_sample(execution.signature):
            sample = Sample(moment(execution.time), execution.pair_id, execution.trace_id)
            self.sample(execution.signature, [sample])

    def many(self, signature: Signature, columns: dict[str, NDArray[Any]]) -> None:
        """Executions of one kind; the columns are those of ``Execution``."""
        kind = np.full(len(columns["time"]), self._kind(signature), np.int32)
        self._blocks.append(
            Rows(
                columns["pair"].astype(np.uint64),
                columns["session"].astype(np.uint64),
                columns["time"].astype(np.int64),
                kind,
                buckets(columns["v1"]),
                buckets(columns["v2"]),
            )
        )
        self.used += len(kind)

    def sample(self, signature: Signature, samples: list[Sample]) -> None:
        """Pairs to look at: the first few are kept."""
        kept = self._samples.setdefault(signature, set())
        kept.update(samples)
        if len(kept) > 8 * _SAMPLES:
            self._samples[signature] = set(sorted(kept)[:_SAMPLES])

    def summary(self) -> Summary:
        """Everything so far."""
        columns = {name: np.array(values) for name, values in self._columns.items()}
        ones = Rows(
            columns["pair"].astype(np.uint64),
            columns["session"].astype(np.uint64),
            columns["time"].astype(np.int64),
            columns["kind"].astype(np.int32),
            buckets(columns["v1"]),
            buckets(columns["v2"]),
        )
        samples = {kind: tuple(sorted(kept)[:_SAMPLES]) for kind, kept in self._samples.items()}
        return Summary(Rows.joined([*self._blocks, ones]), tuple(self._kinds), samples=samples, reading=self.reading())

    def reading(self) -> Reading:
        """What became of the lines."""
        return Reading(
            sources=tuple(sorted(set(self.sources))),
            lines=self.lines,
            bytes=self.bytes,
            used=self.used,
            other_lines=self.other_lines,
            malformed=self.malformed,
            truncated=self.truncated,
            other_schema=dict(sorted(self.other_schema.items())),
            examples=tuple(self.examples),
        )

    def _kind(self, signature: Signature) -> int:
        return self._kinds.setdefault(signature, len(self._kinds))


_COLUMNS = {"pair": "Q", "session": "Q", "time": "q", "kind": "l", "v1": "d", "v2": "d"}


def worth_a_sample(signature: Signature) -> bool:
    """Whether somebody will want to open such a pair: it differs, or V2 failed."""
    return (signature.compared and not signature.matched) or signature.failed or signature.v1_served is False


def parse_moment(text: str) -> datetime:
    """Milliseconds since 1970, as text, as an aware datetime."""
    return moment(int(text))
