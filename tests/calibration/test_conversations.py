"""Reading conversations: both kinds of rows, and every bad line named."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from command_line import run
from hypothesis import given
from hypothesis import strategies as st

from otel_shadow._calibration.conversations import Conversation, MalformedLine, read_conversations
from otel_shadow._demo.bundled import CONVERSATIONS

UTTERANCE = '{"text": "Oi, tudo bem?", "lang": "pt-BR", "reference_datetime": "2025-01-09T10:00:00"}'
DIALOGUE = json.dumps(
    {
        "dialogue_id": "d1",
        "lang": "en",
        "turns": [
            {"speaker": "user", "text": "Hi"},
            {"speaker": "system", "text": "Hello!"},
            {"speaker": "USER", "text": "I'm Ann"},
        ],
    }
)


def written(tmp_path: Path, content: str | bytes) -> Path:
    """Write a file of conversations."""
    path = tmp_path / "conversations.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_an_utterance_is_a_conversation_of_one_turn(tmp_path: Path) -> None:
    """Its language loses the region, its reference time is read."""
    expected = Conversation("utterance-1", "pt", ("Oi, tudo bem?",), datetime.fromisoformat("2025-01-09T10:00:00"), 1)
    assert list(read_conversations(written(tmp_path, UTTERANCE + "\n"))) == [expected]


def test_a_dialogue_is_its_users_turns(tmp_path: Path) -> None:
    """What the system said is left out."""
    assert list(read_conversations(written(tmp_path, DIALOGUE))) == [
        Conversation("d1", "en", ("Hi", "I'm Ann"), None, 1)
    ]


def test_a_byte_order_mark_windows_line_ends_and_blank_lines_are_nothing_special(tmp_path: Path) -> None:
    """Line numbers count the blank lines, as an editor does."""
    content = b"\xef\xbb\xbf" + f"{UTTERANCE}\r\n\r\n   \r\n{DIALOGUE}\r\n".encode()
    assert [row.line for row in read_conversations(written(tmp_path, content))] == [1, 4]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "Oi"', "truncated"),
        (b'{"text": "Ol\xe1"}\n', "not UTF-8: byte 0xe1 at position 13"),
        (b'"Oi"\n', "expected a JSON object, found text"),
        (b"[1]\n", "expected a JSON object, found a list"),
        (b"{}\n", "expected the key 'text' (an utterance) or 'turns' (a dialogue)"),
        (b'{"text": 3}\n', "text: expected text, found a number"),
        (b'{"text": "  "}\n', "text: the message is empty"),
        (b'{"text": null}\n', "text: expected text, found nothing"),
        (b'{"text": "\\ud800"}\n', "a lone surrogate"),
        (b'{"turns": {}}\n', "turns: expected a list, found an object"),
        (b'{"turns": ["Oi"]}\n', "turns[1]: expected an object, found text"),
        (b'{"turns": [{"text": "Oi"}]}\n', "turns[1].speaker: expected 'user' or 'system', found nothing"),
        (b'{"turns": [{"speaker": "user"}]}\n', "turns[1].text: expected text, found nothing"),
        (b'{"turns": [{"speaker": "system", "text": "Oi"}]}\n', "turns: none of them is the user's"),
        (b'{"turns": []}\n', "turns: none of them is the user's"),
        (b'{"text": "Oi", "lang": 1}\n', "lang: expected text, found a number"),
        (b'{"text": "Oi", "reference_datetime": "soon"}\n', "reference_datetime: expected ISO 8601, found 'soon'"),
        (b"\x00\x01\x02\n", "NUL"),
        (b"[" * 100_000 + b"\n", "not JSON"),
    ],
)
def test_a_bad_line_is_named_and_the_next_one_read(tmp_path: Path, line: bytes, reason: str) -> None:
    """File, line and reason are told; the good line before it is kept."""
    path = written(tmp_path, UTTERANCE.encode() + b"\n" + line)
    good, bad = read_conversations(path)
    assert isinstance(good, Conversation)
    assert isinstance(bad, MalformedLine)
    assert (bad.file, bad.line) == (str(path), 2)
    assert reason in bad.reason
    assert str(bad) == f"{path}:2: {bad.reason}"


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_raise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever a file holds, each of its lines becomes a conversation or a named fault."""
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    path.write_bytes(content)
    assert all(isinstance(row, Conversation | MalformedLine) for row in read_conversations(path))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4))
def test_no_value_in_a_field_makes_the_reader_raise(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    """The fields may have any type."""
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    rows = [{key: value, "text": "Oi"} for key in ("lang", "reference_datetime", "dialogue_id", "text", "turns")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert len(list(read_conversations(path))) == len(rows)


def test_an_absent_file_is_the_callers_to_report(tmp_path: Path) -> None:
    """A file that can't be opened is no malformed line."""
    with pytest.raises(FileNotFoundError):
        list(read_conversations(tmp_path / "absent.jsonl"))


def test_the_bundled_conversations_are_well_formed_and_authored() -> None:
    """Forty to sixty of them, in both languages, each of several turns."""
    rows = list(read_conversations(CONVERSATIONS))
    assert all(isinstance(row, Conversation) for row in rows)
    conversations = [row for row in rows if isinstance(row, Conversation)]
    assert 40 <= len(conversations) <= 60
    assert {c.lang for c in conversations} == {"pt", "en"}
    assert all(c.id.startswith("authored/") and len(c.turns) > 1 and c.reference_datetime for c in conversations)
    assert len({c.id for c in conversations}) == len(conversations)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "conversations", "turns"),
    [
        ("utterances_pt.jsonl", 199, 199),
        ("utterances_en.jsonl", 5752, 5752),
        ("expressions_pt.jsonl", 421, 421),
        ("dialogues_en.jsonl", 315, 2582),
    ],
)
def test_the_real_conversations_are_read_whole(
    data_file: Callable[[str], Path], name: str, conversations: int, turns: int
) -> None:
    """No line of the public data sets is malformed."""
    rows = list(read_conversations(data_file(name)))
    assert all(isinstance(row, Conversation) for row in rows)
    assert len(rows) == conversations
    assert sum(len(row.turns) for row in rows if isinstance(row, Conversation)) == turns


@pytest.mark.data
def test_recorded_dialogues_have_their_data_sets_today(data_file: Callable[[str], Path]) -> None:
    """The dialogues' "tomorrow" is counted from the day that their data set names."""
    first = next(read_conversations(data_file("dialogues_en.jsonl")))
    assert isinstance(first, Conversation)
    assert first.reference_datetime == datetime.fromisoformat("2019-03-01T09:00:00")


def test_the_rows_of_the_users_turns_come_along(tmp_path: Path) -> None:
    """What else a row or a turn says, such as a person's label."""
    path = written(tmp_path, '{"text": "Oi", "intent": "greet"}\n' + DIALOGUE)
    utterance, dialogue = read_conversations(path)
    assert isinstance(utterance, Conversation)
    assert isinstance(dialogue, Conversation)
    assert [row["intent"] for row in utterance.rows] == ["greet"]
    assert [row["speaker"] for row in dialogue.rows] == ["user", "USER"]


def test_the_format_in_the_documentation_is_read(tmp_path: Path) -> None:
    """Each line of the example is a conversation, as the page's table says."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    example = page.partition("### `--conversations`")[2].partition("```text\n")[2].partition("```")[0]
    found = [item for item in read_conversations(written(tmp_path, example)) if isinstance(item, Conversation)]
    assert [(item.id, item.lang, item.turns, item.reference_datetime) for item in found] == [
        ("conv_001", "pt", ("Oi, meu nome é Mariana",), None),
        ("utterance-2", "en", ("Tomorrow at three, please",), datetime.fromisoformat("2025-01-09T10:00")),
        ("conv_002", "pt", ("Oi", "amanhã às 15h"), None),
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("[]", "expected a JSON object, found a list"),
        ("{}", "expected the key 'text' (an utterance) or 'turns' (a dialogue)"),
        ('{"text": 3}', "text: expected text, found a number"),
        ('{"text": " "}', "text: the message is empty"),
        ('{"text": "a", "lang": 1}', "lang: expected text, found a number"),
        ('{"text": "a", "reference_datetime": "soon"}', "reference_datetime: expected ISO 8601, found 'soon'"),
        ('{"turns": "a"}', "turns: expected a list, found text"),
        ('{"turns": [3]}', "turns[1]: expected an object, found a number"),
        ('{"turns": [{"text": "a"}]}', "turns[1].speaker: expected 'user' or 'system', found nothing"),
        ('{"turns": [{"speaker": "user"}]}', "turns[1].text: expected text, found nothing"),
        ('{"turns": [{"speaker": "system"}]}', "turns: none of them is the user's"),
    ],
)
def test_what_is_wrong_with_a_file_names_line_and_key(tmp_path: Path, row: str, told: str) -> None:
    """``demo --conversations``: one line of error with the file, the first bad line, its key and what is expected."""
    done = run("demo", "--conversations", written(tmp_path, f"\n{row}\n"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    file = tmp_path / "conversations.jsonl"
    assert done.stderr == (
        f"otel-shadow: {file}: no conversation in it ({file}:2: {told}); expected JSON Lines with text, or with turns\n"
    )
