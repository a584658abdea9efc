"""What a decision is judged by: agreement with V1, or a file of human labels."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_shadow import semconv
from otel_shadow._calibration.decisions import ScoredDecision
from otel_shadow._calibration.pairs import Pair, PairSet
from otel_shadow.errors import ConfigError, EvidenceError

_TRUE, _FALSE = ("true", "1", "yes", "right", "correct"), ("false", "0", "no", "wrong")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the observed fields.

    Arguments:
        confidence: the router's, a number in [0, 1].
        action: what the router did; ``handoff`` is a person.
        planned: where it would have gone without the threshold; the label of decisions that were handed over.
        intent_score: the score of the detected intent, a number in [0, 1].
    """

    confidence: str = "router_confidence"
    action: str = "threshold_action"
    planned: str = "planned_target"
    intent: str = "intent"
    intent_score: str = "intent_score"


@dataclass(frozen=True, slots=True)
class Label:
    """A person's: whether V2's decision was right, or which target would have been."""

    correct: bool | None
    target: str | None


Labels = Mapping[tuple[str, str | None], Label]
"""Labels by pair id or message hash, and node; node None is every node."""


def read_labels(path: Path) -> Labels:
    """Return labels from JSON Lines, or from CSV with a heading; a ConfigError names each row that is none.

    Keys are ``pair_id`` or ``user_message_hash`` (and ``node``), and either ``correct`` (true or false) or ``target``
    (the right next node, ``__end__`` for the end).
    """
    found: dict[tuple[str, str | None], Label] = {}
    problems: list[str] = []
    for number, row in _rows(path):
        try:
            key, label = _label(row)
        except ValueError as error:
            problems.append(f"{path}:{number}: {error}")
            continue
        if found.setdefault(key, label) != label:
            problems.append(f"{path}:{number}: a second label of {key[0]} that says otherwise")
    if problems:
        more = [f"{path}: and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise ConfigError([*problems[:_SHOWN], *more])
    if not found:
        raise ConfigError([f"{path}: no label in it; expected rows with pair_id and correct"])
    return found


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8: byte 0x{error.object[error.start]:02x}; save it as UTF-8"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: can't be read ({error.strerror}); expected JSON Lines or CSV of labels"]) from None
    if path.suffix.lower() == ".csv":
        yield from enumerate(csv.DictReader(io.StringIO(text)), start=2)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError([f"{path}:{number}: not JSON: {error}"]) from None
        yield number, row if isinstance(row, dict) else {}


def _label(row: Mapping[str, Any]) -> tuple[tuple[str, str | None], Label]:
    key = row.get("pair_id") or row.get("user_message_hash")
    if not isinstance(key, str):
        raise ValueError("no pair_id and no user_message_hash; one of them says which decision the label is of")
    target = row.get("target") or None
    correct = None if row.get("correct") in (None, "") else _truth(row["correct"])
    if (target is None) == (correct is None):
        raise ValueError("expected either correct (true or false) or target (the right next node)")
    return (key, row.get("node") or None), Label(correct, None if target is None else str(target))


def _truth(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(f"correct={value!r}; expected true or false")
    return word in _TRUE


def router_decisions(pairs: PairSet, names: Names, labels: Labels | None = None) -> list[ScoredDecision]:
    """Return every compared (or labelled) pair as a decision of the router.

    An EvidenceError says what to configure where no pair has the confidence, one lies outside [0, 1], or no label
    matches a pair.
    """
    seen = {name for pair in pairs.pairs for name in pair.v2}
    if names.confidence not in seen:
        raise EvidenceError(_not_observed(pairs, names.confidence, seen))
    found = [
        ScoredDecision(
            pair.pair_id, pair.session, pair.node, pair.at, _in_range(score, names.confidence, pair), *judged,
            action=action if isinstance(action := pair.v2.get(names.action), str) else None,
        )
        for pair, score, judged in _scored(pairs, names.confidence, names, labels)
    ]  # fmt: skip
    if labels is not None and not found:
        raise EvidenceError(
            f"none of the {len(labels):,} labels is of one of the {len(pairs.pairs):,} pairs (such as "
            f"{next(iter(labels))[0]!r}); expected pair_id as in the SHADOW_V2 lines, or user_message_hash under the "
            "same OTEL_SHADOW_HASH_KEY"
        )
    return found


def intent_decisions(pairs: PairSet, names: Names, labels: Labels | None = None) -> list[ScoredDecision]:
    """Return every compared (or labelled) pair in which V2 found an intent, as a decision of that intent.

    Pairs without the score, or with 0 (nothing was recognised), are left out; an empty list says it is not observed.
    """
    found, field = [], names.intent_score
    for pair, score, judged in _scored(pairs, field, names, labels):
        intent = pair.v2.get(names.intent, pair.intent)
        if isinstance(intent, str) and (value := _in_range(score, field, pair)) and intent != semconv.OTHER:
            found.append(ScoredDecision(pair.pair_id, pair.session, pair.node, pair.at, value, *judged, group=intent))
    return found


def _scored(
    pairs: PairSet, field: str, names: Names, labels: Labels | None
) -> Iterator[tuple[Pair, float, tuple[bool, bool]]]:
    """Yield the pairs that can be judged and have a number in the observed ``field``."""
    for pair in pairs.pairs:
        score, judged = pair.v2.get(field), judge(pair, names, labels)
        if judged is not None and score is not None and not isinstance(score, str | bool):
            yield pair, score, judged


def judge(pair: Pair, names: Names, labels: Labels | None) -> tuple[bool, bool] | None:
    """Return whether V2's decision is wrong and whether that is only assumed; None where there is nothing to judge.

    A decision that was handed to a person is judged by where the router would have gone. Where that was not observed,
    it counts as wrong: the certificate then errs on the safe side.
    """
    plan = pair.v2.get(names.planned)
    handed = pair.v2.get(names.action) == "handoff"
    meant = plan if isinstance(plan, str) else None if handed else pair.shadow_target
    if labels is None:
        if pair.decisions_match is None or pair.original_target is None:
            return None
        if not handed:
            return not pair.decisions_match, False
        right: str | None = pair.original_target
    else:
        label = _label_of(pair, labels)
        if label is None:
            return None
        if label.correct is not None:
            return not label.correct, False
        right = label.target
    return (True, True) if meant is None else (meant != right, False)


def _label_of(pair: Pair, labels: Labels) -> Label | None:
    """Return the label of ``pair``: by its id, else by its message and node, else by its message."""
    keys = [(pair.pair_id, None), (pair.pair_id, pair.node)]
    if pair.message_hash:
        keys += [(pair.message_hash, pair.node), (pair.message_hash, None)]
    return next((labels[key] for key in keys if key in labels), None)


def _not_observed(pairs: PairSet, name: str, seen: set[str]) -> str:
    node = min(pair.node for pair in pairs.pairs)
    told = f"observed are {', '.join(sorted(seen))}" if seen else "no pair has any observed field"
    return (
        f"{', '.join(pairs.sources)}: no pair has observed.v2.{name} ({told}); add [nodes.{node}.observe] "
        f'numbers = ["{name}"] to shadow.toml and collect again, or name another field with --observed confidence FIELD'
    )


def _in_range(score: float, name: str, pair: Pair) -> float:
    if not 0 <= score <= 1:
        raise EvidenceError(f"pair {pair.pair_id}: {name}={score}; expected a confidence in [0, 1]")
    return float(score)
