"""``python -m benchmarks``: the runtime's budgets in one table, and how long a look takes. Parts by name."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version

PARTS = ("path", "isolation", "loop", "overload", "soak", "looks")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=["path", "isolation", "loop", "overload"])
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a result")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the soak")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="for the path; cpu on a busy machine")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{platform.machine()}, {os.cpu_count()} cores (load {load:.1f}), Python {platform.python_version()}, "
        f"LangGraph {version('langgraph')}, OpenTelemetry SDK {version('opentelemetry-sdk')}"
    )
    for part in given.parts:
        _run(part, given.quick, given.seconds, given.clock)


def _run(part: str, quick: bool, seconds: float, clock: str) -> None:
    if part == "path":
        from benchmarks import path

        path.run(rounds=3 if quick else 7, bursts=5 if quick else 12, clock=clock)
    elif part == "isolation":
        from benchmarks import isolation

        isolation.run(rounds=1 if quick else 7, requests=60 if quick else 120)
    elif part == "loop":
        from benchmarks import on_the_loop

        on_the_loop.run(rounds=1 if quick else 7, requests=60 if quick else 120)
    elif part == "overload":
        from benchmarks import overload

        overload.run(pairs=2000 if quick else 10_000)
    elif part == "looks":
        from benchmarks import look_times

        look_times.run(executions=1_000_000 if quick else 10_000_000)
    else:
        from benchmarks import soak

        soak.run(seconds)


if __name__ == "__main__":
    main()
