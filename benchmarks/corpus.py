"""The gold of the public conversations: which slots a text has, where, and with which value.

Every text is in one of two halves by a hash of the text itself: patterns are tuned on one half, numbers are
reported on the other.
"""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

DEFAULT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TODAY_SGD = datetime.fromisoformat("2019-03-01T09:00:00")
TODAY_NLUPP = datetime.fromisoformat("2022-03-15T09:00:00")


@dataclass(frozen=True)
class Gold:
    """A slot in a text; `values` are the acceptable resolved values, empty where only the span is annotated.

    A neutral slot is neither demanded nor forbidden: predictions that touch it are not counted.
    """

    slot: str
    start: int
    end: int
    values: frozenset[str] = frozenset()
    neutral: bool = False


@dataclass(frozen=True)
class Row:
    """A text with its gold slots and what had been asked."""

    text: str
    lang: str
    gold: tuple[Gold, ...]
    reference: datetime
    asked: frozenset[str]
    source: str


# Sources with intents only: a date that stands in them is no false alarm.
_UNANNOTATED = ("oos-eval", ":banking77", "chatterbot-corpus")


def half(text: str) -> str:
    """Return the half that a text belongs to: `tune` or `report`."""
    return "tune" if zlib.crc32(text.encode()) % 2 else "report"


AUTHORED = Path(__file__).with_name("authored.jsonl")


def read(data: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON Lines file, or of all those in a folder.

    Raises:
        SystemExit: there is no such file, or no such files in the folder.

    """
    paths = sorted(data.glob("*.jsonl")) if data.is_dir() else [data]
    if not paths or not paths[0].exists():
        raise SystemExit(f"{data}: expected a JSON Lines file, or a folder with some")
    for path in paths:
        with path.open(encoding="utf-8") as file:
            yield from (json.loads(line) for line in file if line.strip())


def utterances(data: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows that are single messages."""
    return (row for row in read(data) if "text" in row)


def dialogues(data: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows that are dialogues."""
    return (row for row in read(data) if "turns" in row)


def rows(data: Path) -> Iterator[Row]:
    """Yield every text of the sources whose slots are annotated."""
    for raw in utterances(data):
        if not raw["source"].endswith(_UNANNOTATED):
            portuguese = raw["lang"].startswith("pt")
            yield _row(raw, "pt" if portuguese else "en", _gold_pt(raw) if portuguese else _gold_en(raw))
    for dialogue in dialogues(data):
        for turn in dialogue["turns"]:
            if turn["speaker"] == "user":
                yield Row(turn["text"], "en", tuple(_gold_sgd(turn)), TODAY_SGD, frozenset(), "sgd")


def authored_rows(part: str) -> Iterator[Row]:
    """Yield what was authored for the slots that the public data hardly has: children, ages, levels.

    Those of the half `report` were written after the patterns and measured once.
    """
    for raw in read(AUTHORED):
        if part not in ("all", raw["half"]):
            continue
        gold = []
        for slot in raw["slots"]:
            start = max(raw["text"].find(slot["value"]), 0)
            gold.append(Gold(slot["name"], start, start + len(slot["value"]), frozenset({folded(slot["value"])})))
        yield Row(raw["text"], raw["lang"], tuple(gold), TODAY_NLUPP, frozenset(), "authored")


def _row(raw: dict[str, Any], lang: str, gold: list[Gold]) -> Row:
    reference = datetime.fromisoformat(raw["reference_datetime"]) if raw.get("reference_datetime") else TODAY_NLUPP
    return Row(raw["text"], lang, tuple(gold), reference, frozenset(raw.get("requested_slots") or ()), raw["source"])


def folded(text: str) -> str:
    """Return `text` without accents, case and surrounding punctuation, for comparing names."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return " ".join(plain.strip(" .,;:!?'\"").split())


_RANGES = {"daterange", "datetimerange", "timerange", "duration"}


def _gold_pt(raw: dict[str, Any]) -> list[Gold]:
    found: list[Gold] = []
    for slot in raw["slots"]:
        name, span, resolution = slot["name"], (slot["start"], slot["end"]), slot.get("resolution")
        if name == "name":
            found.append(Gold("name", *span, frozenset({folded(slot["value"])})))
        elif name == "age":
            years = resolution["unit"] == "Ano"
            found.append(Gold("age", *span, frozenset({resolution["value"]} if years else ()), neutral=not years))
        elif name in _RANGES:
            found += [Gold(s, *span, neutral=True) for s in ("date", "time")]
        elif name in ("date", "time", "datetime"):
            found += _moment(name, span, _alternatives(resolution), raw)
    return found


def _alternatives(resolution: Any) -> list[str]:
    """Return every acceptable ISO value: the annotation often has a past and a future one."""
    if isinstance(resolution, list):
        return [value for item in resolution for value in _alternatives(item)]
    if not isinstance(resolution, dict):
        return []
    if "value" in resolution:
        return [resolution["value"].replace(" ", "T")]
    values = [v for side in ("future", "past") for v in resolution.get(side, {}).values()]
    return [value.replace(" ", "T") for value in values]


def _moment(name: str, span: tuple[int, int], values: list[str], raw: dict[str, Any]) -> list[Gold]:
    days = frozenset(v[:10] for v in values if "-" in v[:10])
    clocks = frozenset((v.partition("T")[2] or v)[:5] for v in values if ":" in v)
    if name == "date":
        return [Gold("date", *span, days), Gold("time", *span, neutral=True)]
    if name == "time":
        return [Gold("time", *span, clocks), Gold("date", *span, neutral=True)]
    # A time of day alone is annotated as a moment of the reference day: the day is implied, not said.
    implied = days == {raw.get("reference_datetime", "")[:10]}
    return [Gold("date", *span, days, neutral=implied), Gold("time", *span, clocks)]


_DATES_EN, _TIMES_EN = {"date", "date_from", "date_to"}, {"time", "time_from", "time_to"}


def _gold_en(raw: dict[str, Any]) -> list[Gold]:
    found: list[Gold] = []
    for slot in raw["slots"]:
        name, span, resolution = slot["name"], (slot["start"], slot["end"]), slot.get("resolution")
        if name in _DATES_EN:
            found.append(Gold("date", *span, _day(resolution), neutral=resolution == "ambiguous"))
        elif name in _TIMES_EN:
            found.append(Gold("time", *span, _hour(resolution), neutral=resolution == "ambiguous"))
        elif name in ("date_period", "time_period"):
            found += [Gold(s, *span, neutral=True) for s in ("date", "time")]
        elif name in ("first_name", "last_name", "person_name"):
            found.append(Gold("name", *span, frozenset({folded(slot["value"])})))
    return _merged(found, raw["text"])


def _day(resolution: Any) -> frozenset[str]:
    if not isinstance(resolution, dict) or None in resolution.values():
        return frozenset()
    return frozenset({f"{resolution['year']:04d}-{resolution['month']:02d}-{resolution['day']:02d}"})


def _hour(resolution: Any) -> frozenset[str]:
    if not isinstance(resolution, dict):
        return frozenset()
    return frozenset({f"{resolution['hour']:02d}:{resolution['minute']:02d}"})


def _merged(found: list[Gold], text: str) -> list[Gold]:
    """Join a first name and the last name that follows it: a person has one name."""
    names = sorted((g for g in found if g.slot == "name"), key=lambda g: g.start)
    joined: list[Gold] = []
    for gold in names:
        if joined and not text[joined[-1].end : gold.start].strip():
            start = joined.pop().start
            gold = Gold("name", start, gold.end, frozenset({folded(text[start : gold.end])}))
        joined.append(gold)
    return [g for g in found if g.slot != "name"] + joined


def _gold_sgd(turn: dict[str, Any]) -> Iterator[Gold]:
    for slot in turn["slots"]:
        span = (slot["start"], slot["end"])
        if slot["name"] == "appointment_date":
            yield Gold("date", *span, frozenset({slot["canonical"]}))
        elif slot["name"] == "appointment_time":
            yield Gold("time", *span, frozenset({slot["canonical"][:5]}))
        elif slot["name"].endswith("_name"):
            yield Gold("name", *span, neutral=True)
