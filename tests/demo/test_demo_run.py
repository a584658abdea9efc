"""``otel-shadow demo``: scenarios, recorded conversations, the user's own graph; every execution is accounted for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import command_line
import pytest
from langgraph.checkpoint.memory import InMemorySaver

from otel_shadow._calibration.conversations import Conversation, read_conversations
from otel_shadow._demo import workflow
from otel_shadow._demo.play import play
from otel_shadow._demo.v1 import V1_NODES
from otel_shadow.config import ShadowConfig
from otel_shadow.testing.capture import ShadowCapture

DEMO_CONFIG = Path(workflow.__file__).parent / "shadow.toml"
DIALOGUE = {
    "dialogue_id": "d/1",
    "lang": "pt-BR",
    "reference_datetime": "2025-01-09T10:00:00",
    "turns": [
        {"speaker": "user", "text": "Oi, meu nome é Mariana"},
        {"speaker": "system", "text": "Como se chama a criança?"},
        {"speaker": "user", "text": "Minha filha chama Ana e tem 8 anos"},
    ],
}


def demo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command, as a user runs it, on a terminal of 100 columns."""
    code = "import sys; from otel_shadow.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, "demo", *arguments],
        cwd=cwd, capture_output=True, text=True, check=False, timeout=300, env={"COLUMNS": "100"},
    )  # fmt: skip


def events(log: Path) -> Counter[str]:
    return Counter(json.loads(line)["event"] for line in log.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run on three conversations and two lines that are none."""
    folder = tmp_path_factory.mktemp("demo")
    lines = [
        json.dumps(DIALOGUE),
        '{"text": "Quanto custa?", "lang": "pt"}',
        "{not json",
        json.dumps(DIALOGUE),
        '{"nothing": "to say"}',
    ]
    (folder / "talk.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder, demo("--conversations", "talk.jsonl", "--out", "out", cwd=folder)


def test_a_run_says_what_happened(small_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The scenarios' table, one pair's spans, what was played, the verdict and where everything lies; exit code 0."""
    _, done = small_run
    assert done.returncode == 0, done.stderr
    told = done.stdout
    for words in ("v1.node", "v2.shadow", "3 conversations, 5 turns", "WAIT", "out/app.log", "out/report.html"):
        assert words in told, words
    assert "Traceback" not in told + done.stderr


def test_lines_that_are_no_conversation_are_named_and_counted(
    small_run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    """File, line and what is wrong."""
    _, done = small_run
    told = " ".join((done.stdout + done.stderr).split())
    assert re.search(r"talk\.jsonl:3: ", told)
    assert re.search(r"talk\.jsonl:5: ", told)
    assert "2 " in told


def test_the_log_of_a_run_is_whole(small_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Each pair has its two lines; sessions of the same id in the file are sessions of their own; no name is in it."""
    folder, _ = small_run
    log = folder / "out" / "app.log"
    seen = events(log)
    assert seen["SHADOW_V2"] == seen["SHADOW_COMPARISON"] > 0
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len({line["session_id"] for line in lines if line["event"] != "SHADOW_HEARTBEAT"}) == 3 + 3
    assert not any(word in log.read_text(encoding="utf-8") for word in ("Mariana", "Ana", "Quanto"))


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_log_can_be_grepped(small_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """``grep 'SHADOW_V2\\|SHADOW_COMPARISON' app.log | jq .`` works on the demo's log."""
    folder, _ = small_run
    command = "grep 'SHADOW_V2\\|SHADOW_COMPARISON' out/app.log | jq -r .event"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=folder, check=True, capture_output=True, text=True
    )
    seen = events(folder / "out" / "app.log")
    assert Counter(done.stdout.split()) == {k: seen[k] for k in ("SHADOW_V2", "SHADOW_COMPARISON")}


def test_the_page_of_a_run_needs_no_network(small_run: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """One self-contained file."""
    folder, _ = small_run
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert not re.search(r'(?:src|href)\s*=\s*"https?://', page)


def test_a_users_own_graph(tmp_path: Path) -> None:
    """``--graph module:attribute`` with a decorated node: V2 is tried on recorded conversations before production."""
    (tmp_path / "mine.py").write_text(
        """
from typing import Annotated, TypedDict
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from otel_shadow import with_shadow_v2

class State(TypedDict):
    messages: Annotated[list, add_messages]

@with_shadow_v2(lambda state: {"messages": [("ai", "two")]})
def answer(state: State):
    return {"messages": [("ai", "one")]}

builder = StateGraph(State)
builder.add_node("answer", answer)
builder.add_edge(START, "answer")
""",
        encoding="utf-8",
    )
    (tmp_path / "talk.jsonl").write_text(json.dumps(DIALOGUE) + "\n", encoding="utf-8")
    (tmp_path / "shadow.toml").write_text("[arms]\nholdout = 0.0\n", encoding="utf-8")
    done = demo("--graph", "mine:builder", "--conversations", "talk.jsonl", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out" / "app.log").read_text(encoding="utf-8").splitlines()]
    assert [(line["node"], line["diff_fields"]) for line in lines if line["event"] == "SHADOW_V2"] == [
        ("answer", ["messages"])
    ] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--conversations", "no_such.jsonl"), "no_such.jsonl"),
        (("--conversations", "."), "."),
        (("--graph", "nowhere"), "expected module:attribute"),
        (("--graph", "no_such_module:graph"), "no module named 'no_such_module'"),
        (("--graph", "json:dumps"), "json:dumps"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """What is wrong and what was expected, on standard error; no traceback."""
    done = command_line.run("demo", *arguments, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 6


def test_bad_input_is_the_same_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Nothing is added there, by an import or at the end."""
    arguments = ("--graph", "no_such_module:graph", "--out", "out")
    done = demo(*arguments, cwd=tmp_path)
    inside = command_line.run("demo", *arguments, cwd=tmp_path, COLUMNS="100")
    assert (done.returncode, done.stdout, done.stderr) == (inside.returncode, inside.stdout, inside.stderr)


def test_bad_flags_are_one_error(tmp_path: Path) -> None:
    """A bad environment is told in one go."""
    done = command_line.run("demo", "--out", "out", cwd=tmp_path, ROUTER_V2_PERCENTAGE="150", V2_TIMEOUT_MS="soon")
    assert done.returncode == 2
    assert "ROUTER_V2_PERCENTAGE: got '150'" in done.stderr
    assert "V2_TIMEOUT_MS: got 'soon'" in done.stderr
    assert "Traceback" not in done.stderr


def play_counting(conversations: list[Conversation], capture: ShadowCapture) -> tuple[Counter[str], Any]:
    """Play through the workflow; V1's executions by node, counted by V1 itself, and what was played."""
    ran: Counter[str] = Counter()

    def counting(name: str, node: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def counted(state: Any) -> Any:
            ran[name] += 1
            return node(state)

        return counted

    graph = workflow.build_graph(
        {name: counting(name, node) for name, node in V1_NODES.items()}, checkpointer=InMemorySaver()
    )
    capture.attach(graph)
    played = play(graph, conversations, capture.manager)
    capture.settle(120)
    return ran, played


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "most"), [("utterances_pt.jsonl", None), ("utterances_en.jsonl", 400), ("dialogues_en.jsonl", 40)]
)
def test_every_execution_of_real_conversations_has_its_record(
    data_file: Callable[[str], Path], make_shadow_capture: Callable[..., ShadowCapture], name: str, most: int | None
) -> None:
    """Pairs and baselines equal the executions of V1, node by node; nothing is swallowed, shed or dropped."""
    config = ShadowConfig.load(DEMO_CONFIG).model_dump(mode="json", exclude_unset=True)
    capture = make_shadow_capture(ShadowConfig.from_mapping(config))
    found = [item for item in read_conversations(data_file(name)) if isinstance(item, Conversation)][:most]
    ran, played = play_counting(found, capture)
    records = capture.records
    assert played.failed == {}
    assert Counter(record.node for record in records) == ran
    assert sum(record.is_pair for record in records) == sum(record.arm == "shadowed" for record in records)
    assert {record.reason for record in records} <= {None, "holdout"}
    assert all(record.v1_served for record in records)
    assert capture.swallowed == {}
