"""The loop, closed: shadow, verdict, why, calibrate, a new V2 build, shadow again; on recorded conversations.

``python -m otel_shadow._demo.loop FILE... --out DIR`` plays half of the conversations in a first simulated window with
V2 as it is, learns thresholds and patterns from its pairs, and plays the other half, which nothing was learned from,
in a second window: with the old build, as a control, and with the new one. The verdicts are the data's, whatever they
are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._api.manager import ShadowTrafficManager
from otel_shadow._calibration.conversations import Conversation, MalformedLine, read_conversations
from otel_shadow._calibration.corpus import DEMO_KEY
from otel_shadow._calibration.coverage import handled_by, is_unsure
from otel_shadow._calibration.labels import Names
from otel_shadow._calibration.pairs import PairSet, read_pairs
from otel_shadow._demo.bundled import bundled_config
from otel_shadow._demo.clock import SimulatedClock, session_starts, this_minute
from otel_shadow._demo.play import play
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError
from otel_shadow.verdict import Verdict

_IDLE = timedelta(minutes=31)
WINDOW = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Round:
    """One window and what it said.

    Arguments:
        build: V2's.
        played: ``first half`` or ``second half`` of the conversations.
        verdict: of the window.
        sessions, pairs: how many.
        parity: share of pairs that match, with its always-valid band.
        why: the heaviest kinds of mismatch: ``node: original → shadow`` and how many pairs.
        handed: share of pairs that V2 handed to a person.
        unsure: share in which it fell back to asking again, or handed over.
        v1_wrong, v2_wrong, labelled: of the pairs whose right next node a person labelled.
    """

    build: str
    played: str
    verdict: Verdict
    sessions: int
    pairs: int
    parity: tuple[float | None, float | None, float | None]
    why: tuple[tuple[str, int], ...]
    handed: float
    unsure: float
    v1_wrong: int
    v2_wrong: int
    labelled: int


def run_loop(files: Sequence[Path], out: Path, seed: int = 7, say: Callable[[str], None] = print) -> list[Round]:
    """Play the loop, write its logs, pages and proposals to ``out``, and return its three rounds.

    Arguments:
        files: JSON Lines of conversations; a row's ``node`` (and ``node_basis`` intent) is a person's label.
        out: a folder; it is made.
        seed: of the halves and of the simulated times.
        say: told what happens, line by line.

    Raises:
        ConfigError: a file can't be read or has no conversation.
    """
    os.environ.setdefault(semconv.ENV_HASH_KEY, DEMO_KEY)
    out.mkdir(parents=True, exist_ok=True)
    corpus = _joined(files, out / "corpus.jsonl")
    first, second = _halves(corpus, seed)
    gold = _gold(corpus)
    end = this_minute()
    old = _Window("v2-first", {}, out / "1-first", end - WINDOW, seed)
    learned = _Window("v2-first", {}, out / "2-control", end, seed)
    say(f"1. Shadow: build v2-first, {len(first):,} conversations in a simulated window of 48 h")
    rounds = [_round(old, first, "first half", gold)]
    say(_story(rounds[-1]))
    say("2. Calibrate and look at coverage, on the first window only")
    thresholds, patterns = _learn(out, old.log, corpus, gold)
    say(_learned(thresholds, patterns))
    say(f"3. Shadow again: the other {len(second):,} conversations, old build as a control, then the new build")
    rounds.append(_round(learned, second, "second half", gold))
    say(_story(rounds[-1]))
    settings = {"thresholds": thresholds, "patterns": patterns}
    rounds.append(_round(_Window("v2-second", settings, out / "3-second", end, seed), second, "second half", gold))
    say(_story(rounds[-1]))
    return rounds


@dataclass(frozen=True, slots=True)
class _Window:
    build: str
    settings: Mapping[str, Path | None]
    out: Path
    end: datetime
    seed: int

    @property
    def log(self) -> Path:
        return self.out / "app.log"


def _joined(files: Sequence[Path], target: Path) -> Path:
    """All files as one corpus; a file without a last line end doesn't swallow the next one's first line."""
    try:
        target.write_bytes(b"".join(file.read_bytes().rstrip(b"\n") + b"\n" for file in files))
    except OSError as error:
        raise ConfigError([f"{error.filename}: {error.strerror}; expected JSON Lines of conversations"]) from None
    return target


def _halves(corpus: Path, seed: int) -> tuple[list[Conversation], list[Conversation]]:
    found = [item for item in read_conversations(corpus) if not isinstance(item, MalformedLine)]
    if len(found) < 2:
        raise ConfigError([f"{corpus}: fewer than two conversations in it"])
    unique = [_numbered(item, number) for number, item in enumerate(found)]
    random.Random(seed).shuffle(unique)  # noqa: S311 - repeatable by its seed
    middle = len(unique) // 2
    return unique[:middle], unique[middle:]


def _numbered(item: Conversation, number: int) -> Conversation:
    from dataclasses import replace

    return replace(item, id=f"conv_{number:05d}")


def _gold(corpus: Path) -> dict[str, str]:
    """The node that a person's label says a first message is for, by the message's hash; ``other`` is none of them."""
    from otel_shadow._runtime.redact import Redactor

    redactor = Redactor()
    found = {}
    for item in read_conversations(corpus):
        row = {} if isinstance(item, MalformedLine) else item.rows[0]
        if row.get("node_basis") == "intent" and isinstance(row.get("node"), str):
            found[redactor.digest(row["text"])] = row["node"]
    return found


def _round(window: _Window, played: Sequence[Conversation], name: str, gold: Mapping[str, str]) -> Round:
    _shadow(window, played)
    verdict = _judge(window)
    pairs = read_pairs([str(window.log)])
    names = Names()
    parity = verdict.criterion(semconv.CRITERION_PARITY)
    wrong = _wrong(pairs, gold)
    return Round(
        build=window.build,
        played=name,
        verdict=verdict,
        sessions=pairs.sessions,
        pairs=len(pairs.pairs),
        parity=(parity.estimate, parity.lower, parity.upper),
        why=_why(pairs),
        handed=sum(pair.v2.get(names.action) == "handoff" for pair in pairs.pairs) / len(pairs.pairs),
        unsure=sum(is_unsure(pair, names) for pair in pairs.pairs) / len(pairs.pairs),
        v1_wrong=wrong[0],
        v2_wrong=wrong[1],
        labelled=wrong[2],
    )


def _shadow(window: _Window, played: Sequence[Conversation]) -> None:
    from otel_shadow._demo.v2.pipeline import build_nodes
    from otel_shadow._demo.workflow import graph
    from otel_shadow._langgraph.instrument.attach import attach

    window.out.mkdir(parents=True, exist_ok=True)
    window.log.unlink(missing_ok=True)
    clock = SimulatedClock()
    config = ShadowConfig.from_mapping({**bundled_config().model_dump(), "v2_build": window.build})
    manager = ShadowTrafficManager(config, log_file=str(window.log), clock=clock, clock_name="simulated")
    nodes = build_nodes(thresholds=window.settings.get("thresholds"), patterns=window.settings.get("patterns"))
    subject = graph()
    attach(subject, manager, lambda _graph, node: nodes.get(node))
    starts = session_starts(len(played), WINDOW, window.end - _IDLE, window.seed)
    play(subject, played, manager, clock=clock, starts=starts, seed=window.seed)
    manager.flush(120.0)
    manager.shutdown()


def _judge(window: _Window) -> Verdict:
    from otel_shadow import evidence
    from otel_shadow._report import html_page
    from otel_shadow._report.verdict_document import verdict_document
    from otel_shadow.verdict import Policy, evaluate

    summary = evidence.read([str(window.log)])
    verdict = evaluate(summary, Policy(), window.end)
    told = verdict_document(verdict, evidence.view_of(summary, verdict), page=True)
    html_page.write(window.out / "report.html", html_page.page(told))
    return verdict


def _why(pairs: PairSet) -> tuple[tuple[str, int], ...]:
    from collections import Counter

    kinds = Counter(
        f"{pair.node}: {pair.original_target} → {pair.shadow_target}"
        for pair in pairs.pairs
        if pair.decisions_match is False
    )
    return tuple(kinds.most_common(5))


def _wrong(pairs: PairSet, gold: Mapping[str, str]) -> tuple[int, int, int]:
    """First messages that V1, and V2, sent elsewhere than the label says; and how many have a label."""
    v1 = v2 = labelled = 0
    for pair in pairs.pairs:
        node = gold.get(pair.message_hash or "")
        if node is None or pair.decisions_match is None:
            continue
        labelled += 1
        v1 += not _right(node, handled_by(pair.node, pair.original_target))
        v2 += not _right(node, handled_by(pair.node, pair.shadow_target))
    return v1, v2, labelled


def _right(label: str, handled: str) -> bool:
    """Whether ``handled`` is where the label says; what is for none of them is rightly asked back or handed over."""
    return handled in ("greeting", "human") if label == "other" else handled == label


def _learn(out: Path, log: Path, corpus: Path, gold: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    """Thresholds and patterns from the first window; None where nothing can be proposed."""
    from otel_shadow._calibration.command import run_calibrate, run_coverage

    thresholds, patterns = out / "thresholds.toml", out / "patterns.toml"
    config = out / "shadow.toml"
    config.write_text(f"[session]\nintents = {json.dumps(bundled_config().session.intents)}\n", encoding="utf-8")
    with (out / "calibration.txt").open("w", encoding="utf-8") as file, _printing_to(file):
        code = run_calibrate([str(log)], out=thresholds, html=out / "calibration.html")
        run_coverage([str(log)], corpus=corpus, config=config, out=patterns)
        if gold:
            run_calibrate([str(log)], labels=_labels(out, gold), html=out / "calibration-by-labels.html")
    return (thresholds if code == 0 else None), patterns


def _labels(out: Path, gold: Mapping[str, str]) -> Path:
    """The labels as the file that ``calibrate --labels`` reads: the right target from each node."""
    from otel_shadow._demo.state import BUSINESS_NODES

    path = out / "labels.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for digest, label in gold.items():
            for node in BUSINESS_NODES:
                target = semconv.END if label in (node, "other") else label
                file.write(json.dumps({"user_message_hash": digest, "node": node, "target": target}) + "\n")
    return path


def _printing_to(file: Any) -> Any:
    from contextlib import redirect_stdout

    return redirect_stdout(file)


def _learned(thresholds: Path | None, patterns: Path | None) -> str:
    import tomllib

    limits = tomllib.loads(thresholds.read_text(encoding="utf-8")) if thresholds else {}
    found = tomllib.loads(patterns.read_text(encoding="utf-8")).get("patterns", []) if patterns else []
    told = [
        f"   {table}: {json.dumps(limits[table])}" for table in ("thresholds", "intents", "flags") if table in limits
    ]
    told += [f"   pattern for {one['intent']}, score {one['score']}" for one in found]
    return "\n".join(told) or "   nothing can be proposed from this window"


def _story(round_: Round) -> str:
    estimate, lower, upper = (f"{value:.1%}" if value is not None else "–" for value in round_.parity)
    parity = f"the weakest node's parity {estimate} [{lower}, {upper}]"
    doubt = f"handed to a person {round_.handed:.1%}, unsure {round_.unsure:.1%}"
    lines = [
        f"   {round_.verdict.decision}: {round_.verdict.reason}",
        f"   {round_.sessions:,} sessions, {round_.pairs:,} pairs, {parity}, {doubt}",
        *(f"   {count:>6,} pairs {kind}" for kind, count in round_.why),
    ]
    if round_.labelled:
        v1, v2 = round_.v1_wrong / round_.labelled, round_.v2_wrong / round_.labelled
        lines.append(f"   by {round_.labelled:,} human labels, wrongly routed: V1 {v1:.1%}, V2 {v2:.1%}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the script."""
    parser = argparse.ArgumentParser(prog="python -m otel_shadow._demo.loop", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON Lines of conversations")
    parser.add_argument("--out", type=Path, default=Path("otel-shadow-loop"))
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args(arguments)
    try:
        run_loop(given.files, given.out, given.seed)
    except ConfigError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return 2
    sys.stdout.write(f"Logs, pages and proposals are in {given.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
