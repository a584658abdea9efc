"""How fast evidence is read: log lines by the million, made here from the writer's own lines.

    python benchmarks/evidence.py                          ten million lines (10 GB of disk, deleted afterwards)
    python benchmarks/evidence.py --lines 1000000 --gzip   a million lines in four gzip files
    python benchmarks/evidence.py --lines 400000 --slow    the reader for odd forms, line by line

Prints lines, bytes, seconds, and the peak of memory (of the whole process). Half of the lines are SHADOW_V2, half
SHADOW_COMPARISON, as an application writes them.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from otel_shadow.evidence import read, read_sources
from otel_shadow.log_line import encode, lines, timestamp
from otel_shadow.record import Arm, Comparison, Mode, Observation, Outcome, ShadowRecord, Status
from otel_shadow.verdict import evaluate, prepare

START = datetime(2025, 1, 9, tzinfo=UTC)
NODES = ("greeting", "qualification", "information", "scheduling")
PAIR, SESSION, TRACE, MOMENT = "p" * 32, "s" * 32, "t" * 32, "2025-01-09T00:00:00.000Z"


def templates() -> list[tuple[str, str]]:
    """Return both lines of pairs of every node, with and without a mismatch, as the writer makes them."""
    found = []
    for node in NODES:
        for match in [True] * 19 + [False]:
            record = ShadowRecord(
                PAIR, "enrolment", node, Mode.V2_SHADOW, Arm.SHADOWED, SESSION, START,
                Observation(Status.SUCCESS, 0.0421, "information", "age_collection", span_id="a" * 16),
                Observation(Status.SUCCESS, 0.0399, "information" if match else "__end__", "age_collection"),
                Comparison(Outcome.MATCH if match else Outcome.MISMATCH, match, True, () if match else ("outbox",)),
                v1_served=True, intent="price", v2_build="1.4.0", config_digest="a1b2c3d4e5f6", key_id="k1",
                trace_id=TRACE, user_message_hash="a1b2c3d4e5f6",
            )  # fmt: skip
            first, second = (encode(line).decode() for line in lines(record))
            found.append((first, second))
    return found


def made(pairs: int, seed: int = 1) -> Iterator[str]:
    """Yield lines of so many pairs over 48 hours, sessions of six, in the order in which they end."""
    rng, forms = random.Random(seed), templates()
    sessions = [f"{rng.getrandbits(128):032x}" for _ in range(40)]
    for number in range(pairs):
        if number % 6 == 0:
            sessions[rng.randrange(40)] = f"{rng.getrandbits(128):032x}"
        pair, moment = f"{rng.getrandbits(128):032x}", timestamp(START + timedelta(hours=48 * number / pairs))
        v1, v2 = f":{rng.lognormvariate(3, 0.5):.3f},", f":{rng.lognormvariate(3, 0.5):.3f},"
        session = sessions[rng.randrange(40)]
        for form in forms[rng.randrange(len(forms))]:
            yield (
                form.replace(PAIR, pair).replace(SESSION, session).replace(MOMENT, moment).replace(TRACE, pair)
                .replace(":42.1,", v1).replace(":39.9,", v2)
            )  # fmt: skip


def write(folder: Path, pairs: int, packed: bool) -> list[Path]:
    """Write one file, or four packed ones."""
    if not packed:
        path = folder / "app.log"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(made(pairs))
        return [path]
    paths = [folder / f"app-{part}.log.gz" for part in range(4)]
    for part, path in enumerate(paths):
        with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
            file.writelines(made(pairs // 4, seed=part))
    return paths


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.slow:
        read_sources._SMALL = 1 << 60
    with tempfile.TemporaryDirectory(prefix="otel-shadow-benchmark-") as folder:
        began = time.perf_counter()
        paths = write(Path(folder), options.lines // 2, options.gzip)
        size = sum(path.stat().st_size for path in paths)
        print(f"made {options.lines:,} lines, {size / 1e9:.2f} GB, in {time.perf_counter() - began:.0f} s", flush=True)
        began, used = time.perf_counter(), time.process_time()
        summary = read([str(path) for path in paths], threads=options.threads)
        seconds = time.perf_counter() - began
        print(
            f"read {summary.reading.lines:,} lines in {seconds:.1f} s ({time.process_time() - used:.1f} s of "
            f"processor), {summary.reading.lines / seconds:,.0f} lines/s, {size / seconds / 1e6:,.0f} MB/s"
        )
        began = time.perf_counter()
        prepare(summary)
        print(f"counted {len(summary):,} executions in {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        verdict = evaluate(summary)
        print(f"verdict {verdict.decision} in {(time.perf_counter() - began) * 1e3:.1f} ms")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
