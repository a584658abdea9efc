"""Where lines of ours stand: what counts by its place, what is lost, and what anybody could have written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recorded import formatted, log

from otel_shadow.evidence import read
from otel_shadow.evidence.line_objects import objects_in

OURS = [line.decode().rstrip("\n") for line in log(8) if b'"event":"SHADOW_V2"' in line]
LINE, OTHER = OURS[0], OURS[1]
PEOPLE = next(line.decode().rstrip("\n") for line in log(8) if b'"event":"SHADOW_COMPARISON"' in line)


def counted(text: str) -> tuple[int, int, int]:
    found = objects_in(text)
    ours = [sum(item["event"] == "SHADOW_V2" for item in items) for items in (found.placed, found.behind)]
    return ours[0], ours[1], found.lost


PREFIXES = {
    "none": "",
    "byte order mark": "\ufeff",
    "a hole of zeros": "\0" * 4096,
    "containerd": "2016-10-06T00:17:09.669794202Z stderr F ",
    "docker logs -t": "2026-03-02T12:00:00.000000000Z ",
    "docker compose": "app-1  | ",
    "docker compose, coloured": "\x1b[36mapp-1  |\x1b[0m ",
    "docker compose -t": "shop_web_1 | 2026-03-02T12:00:00.000000000Z ",
    "swarm": "web.1.k3j2@node-7    | ",
    "kubectl --prefix": "[pod/app-7d9c-x2/app] ",
    "kubectl --prefix --timestamps": "[pod/app-7d9c-x2/app] 2026-03-02T12:00:00.000000000Z ",
    "journalctl": "Mar 02 12:00:00 host python[123]: ",
    "journalctl -o short-precise": "Mar 02 12:00:00.123456 host python[123]: ",
    "journalctl -o short-iso": "2026-03-02T12:00:00+0000 host python[123]: ",
    "syslog, RFC 3164": "<34>Oct 11 22:14:15 host app: ",
    "syslog, RFC 5424": "<165>1 2003-10-11T22:14:15.003Z host app 8710 - - ",
    "syslog, RFC 5424 with data": '<165>1 2003-10-11T22:14:15.003Z host app 8710 ID47 [e@32473 i="3"] \ufeff',
    "Heroku": "2010-09-16T15:13:46.677020+00:00 app[web.1]: ",
    "grep over files": "logs/app.log.1:17:",
}


@pytest.mark.parametrize("name", PREFIXES)
def test_what_containers_put_before_a_line_is_known(name: str) -> None:
    """Such a line stands where ours do."""
    assert counted(PREFIXES[name] + LINE) == (1, 0, 0)


BEHIND = [
    "INFO:chat:", "2026-03-02 12:00:00,123 INFO chat: ", "user said: ", "INFO | ", "2026-03-02T12:00:00Z INFO chat: ",
    "[INFO] ", "2026-03-02T12:00:00Z [info] said ", '{"level":"info"} ', "chat.message=", "'", "> ",
]  # fmt: skip


@pytest.mark.parametrize("before", BEHIND)
def test_what_an_application_logs_is_no_evidence(before: str) -> None:
    """Behind an application's own words anybody whose text is logged can put a line; it is counted."""
    assert counted(before + LINE) == (0, 1, 0)


STRUCTURED = {
    "json-file": json.dumps({"log": LINE + "\n", "stream": "stderr"}),
    "journald": json.dumps({"MESSAGE": LINE, "_PID": "1"}),
    "parsed": json.dumps({"kubernetes": {"pod": "a"}, "payload": json.loads(LINE)}),
    "twice wrapped": json.dumps({"message": json.dumps({"log": LINE})}),
    "a list": f"[{LINE},{OTHER}]",
    "several lines in one body": json.dumps({"message": f"{LINE}\n{OTHER}\n"}),
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_structured_bodies_are_taken(name: str) -> None:
    """A shipper's field holds the line, as an object or as text."""
    assert counted(STRUCTURED[name]) == (STRUCTURED[name].count("SHADOW_V2"), 0, 0)


def test_an_application_s_text_in_a_structured_body_is_no_evidence() -> None:
    """Docker's json-file has an application's free text, too."""
    assert counted(json.dumps({"log": f"user said: {LINE}\n"})) == (0, 1, 0)


TORN = {
    "a line for people behind": (LINE[:300] + PEOPLE, (0, 0, 1)),
    "a pair behind": (LINE[:300] + OTHER, (1, 0, 1)),
    "within the first key": (LINE[:13] + OTHER, (1, 0, 1)),
    "at the first key": (LINE[:20] + PEOPLE, (0, 0, 1)),
    "twice": (LINE[:300] + LINE[:500] + OTHER, (1, 0, 2)),
    "a line for people broke off": (PEOPLE[:300] + OTHER, (1, 0, 0)),
    "zeros between": (LINE[:300] + "\0" * 700 + OTHER, (1, 0, 1)),
    "in a body": (json.dumps({"log": LINE[:300] + OTHER}), (1, 0, 1)),
    "two whole ones": (LINE + OTHER, (2, 0, 0)),
    "behind an application's words": ("half a line " + LINE[:300] + OTHER, (0, 1, 1)),
    "without a beginning": (LINE[200:], (0, 0, 1)),
    "without an end": (LINE[:-30], (0, 0, 1)),
    "half a batch": (json.dumps({"resourceLogs": [LINE, OTHER, LINE]})[:-40], (0, 0, 3)),
}


@pytest.mark.parametrize("name", TORN)
def test_what_broke_off_is_counted_and_what_stands_behind_it_is_read(name: str) -> None:
    """A crash, a full disk, a copied file: (read, behind other text, lost)."""
    text, wanted = TORN[name]
    assert counted(text) == wanted


def test_the_totals_of_a_heartbeat_are_no_lines() -> None:
    """Its keys are names of events; a torn one loses no execution."""
    beat = '{"event":"SHADOW_HEARTBEAT","process":"p","totals":{"SHADOW_V2":3,"SHADOW_BASELINE":1},"last":true}'
    assert [item["event"] for item in objects_in(beat).placed] == ["SHADOW_HEARTBEAT"]
    assert objects_in(beat[:-10]).lost == 0


def test_hundreds_of_thousands_of_braces_are_read_in_no_time() -> None:
    """Each was looked into to the end of the line: 300,000 took minutes."""
    for text in (
        "{" * 300_000,
        '{"a":' * 100_000,
        '{"event":"SHADOW_V2",' * 20_000,
        "[" * 300_000,
        '"pair_id' * 50_000,
    ):
        objects_in(f"{text} SHADOW_V2")


def test_a_forged_line_behind_text_changes_nothing(tmp_path: Path) -> None:
    """The log of an application that logs what people say."""
    ours = log(50)
    forged = [formatted(line) for line in log(200, seed=9)]
    (tmp_path / "app.log").write_bytes(b"".join([*ours, *forged]))
    found = read([str(tmp_path / "app.log")])
    assert (len(found), found.reading.used, found.reading.misplaced) == (50, 50, 200)
    assert "behind other text" in found.reading.examples[0]
