"""How fast evidence is read: log lines by the million, made here from the writer's own lines.

    python benchmarks/evidence.py                          ten million lines (12 GB of disk, deleted afterwards)
    python benchmarks/evidence.py --lines 1000000 --gzip   a million lines in four gzip files
    python benchmarks/evidence.py --lines 400000 --slow    the reader for odd forms, line by line
    python benchmarks/evidence.py --lines 1000000 --coded  each line with its code, which is verified

Prints lines, bytes, seconds, and the peak of memory (of the whole process). The lines are those of four processes that
write all keys of schema 2: pairs with their SHADOW_COMPARISON lines, held-out executions for a third of the minutes,
numbers, and heartbeats once a minute. ``--files DIRECTORY`` makes them there and keeps them.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow.evidence import load, read, read_sources, save
from otel_shadow.line_code import code_of, derived_key
from otel_shadow.log_line import Line, encode, heartbeat_line, lines, timestamp
from otel_shadow.record import Arm, Comparison, Heartbeat, Mode, Observation, Outcome, ShadowRecord, Status
from otel_shadow.slots import slot_at
from otel_shadow.verdict import evaluate, prepare

START = datetime(2025, 1, 9, tzinfo=UTC)
NODES = ("greeting", "qualification", "information", "scheduling")
PROCESSES = tuple(f"{number:016x}" for number in range(1, 5))
KEY = derived_key(b"k" * 32)
SLOT_SECONDS, HOLDOUT = 60.0, 1 / 3
_SECONDS = 48 * 3600
_PLACES = (
    "pair_id", "session_id", "timestamp", "trace_id", "v1_latency_ms", "shadow_latency_ms", "v2_latency_ms",
    "overhead_ms", "process", "sequence",
)  # fmt: skip
Code = Callable[[Line], str] | None


def record(node: str, held: bool, match: bool) -> ShadowRecord:
    """Return a record of an execution that has whatever differs from one execution to the next left out."""
    shadow = {} if held else {
        "v2": Observation(Status.SUCCESS, 0.0399, "information" if match else "__end__", "age_collection"),
        "comparison": Comparison(
            Outcome.MATCH if match else Outcome.MISMATCH, match, True, () if match else ("outbox",)
        ),
    }  # fmt: skip
    given: dict[str, Any] = {
        "v1": Observation(Status.SUCCESS, 0.0421, "information", "age_collection", span_id="a" * 16),
        "v1_served": True, "intent": "price", "v2_build": "1.4.0", "config_digest": "a1b2c3d4e5f6", "key_id": "k1",
        "user_message_hash": "a1b2c3d4e5f6", "service": "enrolment", "probability": 2 / 3, "sample": 1.0,
        "holdout": HOLDOUT, "slot_seconds": SLOT_SECONDS, "percentage": 0.0, "process": "p", "sequence": 1,
        "reason": "holdout" if held else None, "trace_id": "t", **shadow,
    }  # fmt: skip
    arm = Arm.HOLDOUT if held else Arm.SHADOWED
    return ShadowRecord("p", "enrolment", node, Mode.V2_SHADOW, arm, "s", START, **given)


class _Form:
    """A line of which some values are put in.

    Arguments:
        line: as the writer makes it.
        code: computes its code; without it, it has one that nobody verifies.
    """

    def __init__(self, line: Line, code: Code) -> None:
        self._line, self._code = line, code
        names = [name for name, value in line.items() if name == "code" or (name in _PLACES and value is not None)]
        marked = encode({**line, **{name: f"\0{name}\0" for name in names}}).decode()
        for name in names:
            marked = marked.replace(f'"\\u0000{name}\\u0000"', f"\0{name}\0")
        self._parts = marked.split("\0")

    def __call__(self, values: Line) -> str:
        """Return the line with these values."""
        if self._code is not None:
            changed = {name: value if value is None else values.get(name, value) for name, value in self._line.items()}
            return encode({**changed, "code": None}, self._code).decode()
        parts = self._parts.copy()
        for place in range(1, len(parts), 2):
            value = values[parts[place]]
            parts[place] = f'"{value}"' if isinstance(value, str) else str(value)
        return "".join(parts)


def made(seed: int = 1, code: Code = None, pairs: int = 5_000_000) -> Iterator[str]:
    """Yield lines of executions spread over 48 hours (of ``pairs``, then more), sessions of six, as they end."""
    rng = random.Random(seed)
    forms = {
        (node, held, match): [_Form(line, code) for line in lines(record(node, held, match))]
        for node in NODES for held in (False, True) for match in (False, True)
    }  # fmt: skip
    sessions = [f"{rng.getrandbits(128):032x}" for _ in range(40)]
    written: Counter[tuple[str, str, str]] = Counter()
    minute, number, held = -1, 0, False
    while True:
        at = START + timedelta(seconds=_SECONDS * number / pairs)
        if int(_SECONDS * number / pairs) // 60 != minute:
            minute = int(_SECONDS * number / pairs) // 60
            held = slot_at(at.timestamp(), "enrolment", SLOT_SECONDS, HOLDOUT).is_holdout
            yield from _heartbeats(written, at, code)
        if number % 6 == 0:
            sessions[rng.randrange(40)] = f"{rng.getrandbits(128):032x}"
        node, process = NODES[rng.randrange(4)], PROCESSES[rng.randrange(4)]
        event = semconv.EVENT_BASELINE if held else semconv.EVENT_V2
        written[process, node, event] += 1
        pair = f"{rng.getrandbits(128):032x}"
        v2 = round(rng.lognormvariate(3, 0.5), 3)
        values: Line = {
            "pair_id": pair, "trace_id": pair, "session_id": sessions[rng.randrange(40)], "timestamp": timestamp(at),
            "v1_latency_ms": round(rng.lognormvariate(3, 0.5), 3), "overhead_ms": round(rng.random() / 5, 3),
            "shadow_latency_ms": v2, "v2_latency_ms": v2,
            "process": process, "sequence": written[process, node, event], "code": pair[:16],
        }  # fmt: skip
        number += 1
        for form in forms[node, held, rng.random() < 0.95]:
            yield form(values)


def _heartbeats(written: Counter[tuple[str, str, str]], at: datetime, code: Code) -> Iterator[str]:
    for process in PROCESSES:
        for node in NODES:
            totals = {
                event: count for (owner, name, event), count in written.items() if (owner, name) == (process, node)
            }
            beat = Heartbeat(
                "enrolment", process, at, "enrolment", node, sum(totals.values()), totals, v2_build="1.4.0",
                config_digest="a1b2c3d4e5f6", key_id="k1",
            )  # fmt: skip
            yield encode(heartbeat_line(beat), code).decode()


def write(folder: Path, count: int, packed: bool, coded: bool) -> list[Path]:
    """Write so many lines to one file, or to four packed ones."""
    code = partial(code_of, verify_key=KEY) if coded else None
    pairs = count * 10 // 17  # a third has one line, the others two
    if not packed:
        path = folder / "app.log"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(islice(made(code=code, pairs=pairs), count))
        return [path]
    paths = [folder / f"app-{part}.log.gz" for part in range(4)]
    for part, path in enumerate(paths):
        with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
            file.writelines(islice(made(part, code, pairs // 4), count // 4))
    return paths


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--coded", action="store_true")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--files", type=Path, default=None, help="folder that keeps the files; read if they are there")
    options = parser.parse_args()
    if options.slow:
        read_sources._SMALL = 1 << 60
    kept = options.files
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="otel-shadow-benchmark-") as folder:
        paths = sorted(Path(folder).glob("app*.log*"))
        if not paths:
            Path(folder).mkdir(exist_ok=True)
            paths = _timed("made", lambda: write(Path(folder), options.lines, options.gzip, options.coded))
        size = sum(path.stat().st_size for path in paths)
        key = KEY if options.coded else None
        names = [str(path) for path in paths]
        summary = _timed("read", lambda: read(names, threads=options.threads, verify_key=key))
        print(f"  {summary.reading.lines:,} lines, {size / 1e9:.2f} GB; {summary.reading}")
        _timed(f"counted {len(summary):,} executions", lambda: prepare(summary))
        print(f"  {_timed('verdict', lambda: evaluate(summary)).decision}")
        saved = Path(folder) / "saved.npz"
        _timed("saved", lambda: save(summary, saved))
        print(f"  {saved.stat().st_size / 1e6:.0f} MB")
        _timed("loaded", lambda: load(saved))
        saved.unlink()
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    return 0


def _timed(what: str, do: Callable[[], Any]) -> Any:
    began, used = time.perf_counter(), time.process_time()
    done = do()
    seconds, busy = time.perf_counter() - began, time.process_time() - used
    print(f"{what}: {seconds:.2f} s ({busy:.2f} s of processor)", flush=True)
    return done


if __name__ == "__main__":
    sys.exit(main())
