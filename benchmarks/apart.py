"""Tracing instrumentors, each in a process of its own: what they wrap stays wrapped, in whatever runs beside them.

The process runs the plain graph whenever it is told to, so that its runs lie between those of the other designs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any

INSTRUMENTORS = {
    "OpenInference": ("openinference.instrumentation.langchain", "LangChainInstrumentor"),
    "OpenLLMetry": ("opentelemetry.instrumentation.langchain", "LangchainInstrumentor"),
}
"""Module and class by row of the table. They trace and run no V2."""


class Apart:
    """A process in which an instrumentor is on.

    Arguments:
        name: one of ``INSTRUMENTORS``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.apart", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def runs(self, calls: int, size: str, clock: str) -> list[float]:
        """Seconds per node of ``calls`` runs of the graph."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([calls, size, clock]), file=self._process.stdin, flush=True)
        found: list[float] = json.loads(self._process.stdout.readline())
        return found

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()


def available() -> list[str]:
    """Return those that are installed (dependency group ``bench``)."""
    found = []
    for name, (module, _) in INSTRUMENTORS.items():
        with suppress(ModuleNotFoundError):
            found += [name] if find_spec(module) is not None else []
        if name not in found:
            print(f"{name}: left out ({module} is not installed)")
    return found


def main() -> None:
    """Instrument, then time runs as they are asked for, one line of JSON each."""
    from benchmarks import rivals
    from benchmarks.rounds import Here

    module, cls = INSTRUMENTORS[sys.argv[1]]
    instrumentor: Any = getattr(import_module(module), cls)()
    instrumentor.instrument(tracer_provider=rivals.provider())
    here = Here(rivals.plain())
    for line in sys.stdin:
        print(json.dumps(here.runs(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
