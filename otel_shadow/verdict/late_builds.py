"""Executions of a process that did not know its build yet, and told it later: they are of that build.

OpenTelemetry's resource, which names the build where nothing else does, may come after the first executions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from otel_shadow import semconv
from otel_shadow.verdict.execution_kind import ExecutionKind
from otel_shadow.verdict.rows import Rows


def of_late_builds(rows: Rows, kinds: tuple[ExecutionKind, ...]) -> tuple[Rows, tuple[ExecutionKind, ...]]:
    """Return ``rows`` and ``kinds`` with the build that a process told later in place of none.

    A process that told several builds tells nothing of what came before. Lines without a verified code name no build of
    lines that have one.
    """
    unnamed = np.array([kind.build == semconv.UNVERSIONED for kind in kinds], bool)
    if not unnamed.any() or unnamed.all():
        return rows, kinds
    numbers: dict[str, int] = {}
    build_of = np.array([numbers.setdefault(kind.build, len(numbers)) for kind in kinds], np.int64)
    builds, places = list(numbers), {kind: place for place, kind in enumerate(kinds)}
    kind_of = rows.kind.copy()
    for coded in (False, True):
        of_code = np.array([kind.coded == coded for kind in kinds], bool)
        telling = (~unnamed & of_code)[rows.kind] & (rows.process > 0)
        asking = np.flatnonzero((unnamed & of_code)[rows.kind] & (rows.process > 0))
        if not len(asking) or not telling.any():
            continue
        told = np.unique(np.c_[rows.process[telling], build_of[rows.kind[telling]].astype(np.uint64)], axis=0)
        processes, counts = np.unique(told[:, 0], return_counts=True)
        once = told[np.isin(told[:, 0], processes[counts == 1])]
        asking = asking[np.isin(rows.process[asking], once[:, 0])]
        build = once[np.searchsorted(once[:, 0], rows.process[asking]), 1].astype(np.int64)
        for former, number in {*zip(rows.kind[asking].tolist(), build.tolist(), strict=True)}:
            place = places.setdefault(replace(kinds[former], build=builds[number]), len(places))
            kind_of[asking[(rows.kind[asking] == former) & (build == number)]] = place
    return replace(rows, kind=kind_of), tuple(places)
