"""``shadow.toml``: what it says, every fault at once, and the digest of a window of evidence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from frozen import frozen

from otel_shadow import ConfigError, ShadowConfig

BASE: dict[str, Any] = {"nodes": {"greeting": {"v2": "app.v2:greeting"}}, "session": {"step": "current_step"}}


def with_change(path: str, value: Any) -> ShadowConfig:
    """``BASE`` with the dotted ``path`` set to ``value``."""
    data: dict[str, Any] = {key: {**table} for key, table in BASE.items()}
    data["nodes"] = {name: {**node} for name, node in BASE["nodes"].items()}
    table, *between, last = path.split(".")
    place = data.setdefault(table, {})
    for key in between:
        place = place.setdefault(key, {})
    place[last] = value
    return ShadowConfig.from_mapping(data)


def without_words(schema: Any) -> Any:
    """A JSON schema without titles and descriptions: what is left is the contract."""
    if isinstance(schema, dict):
        properties = {name: without_words(item) for name, item in schema.get("properties", {}).items()}
        rest = {
            key: without_words(item)
            for key, item in schema.items()
            if key not in ("title", "description", "properties")
        }
        return {**rest, **({"properties": properties} if properties else {})}
    return [without_words(item) for item in schema] if isinstance(schema, list) else schema


def test_the_schema_is_a_contract() -> None:
    """Keys, types, defaults and bounds of ``shadow.toml`` change by decision only."""
    seen = without_words(ShadowConfig.model_json_schema())
    assert seen == frozen("config_schema.json", seen)


def test_every_fault_is_listed(tmp_path: Path) -> None:
    """One error names each wrong key of the file with what was read and what is expected."""
    file = tmp_path / "shadow.toml"
    file.write_text(
        """
        [flags]
        percentage = 120
        [nodes.greeting]
        v2 = "not a path"
        smaple = 0.5
        [nodes.greeting.compare]
        tolerance.score = -1
        [arms]
        holdout = "ten"
        [privacy]
        safe_session_id = "("
        [[accept]]
        reason = ""
        expires = "someday"
        """,
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        ShadowConfig.load(file)
    said = caught.value.problems
    assert all(problem.startswith(f"{file}: ") for problem in said)
    for key in (
        "flags.percentage: got 120",
        "nodes.greeting.v2: got 'not a path'",
        "nodes.greeting.smaple: no such key",
        "nodes.greeting.compare.tolerance.score: got -1",
        "arms.holdout: got 'ten'",
        "privacy.safe_session_id: got '('",
        "accept.0.reason: got ''",
        "accept.0.expires: got 'someday'",
    ):
        assert any(key in problem for problem in said), (key, said)


def test_a_path_that_is_none_is_a_fault_of_the_configuration() -> None:
    """A path into the state is checked when the file is read, not at the first message."""
    with pytest.raises(ConfigError) as caught:
        ShadowConfig.from_mapping(
            {"session": {"message": "messages[-1", "id": ""}, "nodes": {"x": {"observe": {"numbers": ["a..b"]}}}}
        )
    said = " | ".join(caught.value.problems)
    assert "session.message: got 'messages[-1'" in said
    assert "session.id: got ''" in said
    assert "nodes.x.observe.numbers" in said


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "can't be read as UTF-8 text (IsADirectoryError)"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "can't be read as UTF-8 text (UnicodeDecodeError)"),
        (lambda path: path.write_text("[nodes"), "not valid TOML"),
    ],
)
def test_an_unreadable_file_is_one_clear_error(tmp_path: Path, make: Any, words: str) -> None:
    """Missing, a directory, binary, no TOML: the file is named, and what is wrong with it."""
    file = tmp_path / "shadow.toml"
    make(file)
    with pytest.raises(ConfigError) as caught:
        ShadowConfig.load(file)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)


def test_where_the_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, else ``OTEL_SHADOW_CONFIG``, else ``./shadow.toml``, else the defaults."""
    monkeypatch.chdir(tmp_path)
    assert ShadowConfig.load() == ShadowConfig()
    for name in ("shadow", "named", "given"):
        (tmp_path / f"{name}.toml").write_text(f'v2_build = "{name}"', encoding="utf-8")
    assert ShadowConfig.load().v2_build == "shadow"
    monkeypatch.setenv("OTEL_SHADOW_CONFIG", str(tmp_path / "named.toml"))
    assert ShadowConfig.load().v2_build == "named"
    assert ShadowConfig.load(tmp_path / "given.toml").v2_build == "given"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("nodes.greeting.v2", "app.v3:greeting"),
        ("nodes.greeting.compare", {"fields": ["name"]}),
        ("nodes.greeting.timeout_ms", 100),
        ("session.step", "step"),
        ("tools.allow", ["search"]),
    ],
)
def test_the_digest_changes_with_the_pairs(path: str, value: Any) -> None:
    """What changes how pairs are made or compared begins a new window of evidence."""
    assert with_change(path, value).digest != ShadowConfig.from_mapping(BASE).digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("nodes.greeting.live", False),
        ("nodes.greeting.sample", 0.5),
        ("sla.parity", 0.9),
        ("flags.percentage", 10),
        ("limits.queue", 10),
        ("arms.holdout", 0.2),
    ],
)
def test_the_digest_stays_where_the_pairs_do(path: str, value: Any) -> None:
    """Moving a bound or a share needs no new window."""
    assert with_change(path, value).digest == ShadowConfig.from_mapping(BASE).digest


def test_accepting_a_difference_needs_no_new_window() -> None:
    """``[[accept]]`` is applied when evidence is read."""
    rules = [{"reason": "wording", "expires": "2030-01-01", "fields": ["answer"]}]
    assert ShadowConfig.from_mapping({**BASE, "accept": rules}).digest == ShadowConfig.from_mapping(BASE).digest


def test_the_bounds_of_a_node_are_the_general_ones_but_for_its_own() -> None:
    """``[sla.nodes.X]`` names what differs."""
    policy = ShadowConfig.from_mapping({"sla": {"parity": 0.9, "nodes": {"greeting": {"handoff": 0.1}}}}).sla
    assert (policy.bounds("greeting").parity, policy.bounds("greeting").handoff) == (0.9, 0.1)
    assert (policy.bounds("other").parity, policy.bounds("other").handoff) == (0.9, 0.03)


def test_the_demo_has_a_valid_file() -> None:
    """The bundled ``shadow.toml`` is what a user starts from."""
    file = Path(__file__).parents[2] / "otel_shadow" / "_demo" / "shadow.toml"
    assert set(ShadowConfig.load(file).nodes) == {"greeting", "qualification", "information", "scheduling"}


@pytest.mark.parametrize(
    "path",
    [
        "flags.percentage", "flags.timeout_ms", "arms.holdout", "arms.noise", "limits.queue", "limits.tokens_per_hour",
        "process.memory_bytes", "nodes.greeting.sample", "nodes.greeting.timeout_ms", "sla.parity", "sla.min_sessions",
        "sla.max_gap_hours",
    ],
)  # fmt: skip
def test_a_boolean_is_no_number(path: str) -> None:
    """``holdout = true`` would hold out everybody: a number is asked for by name."""
    with pytest.raises(ConfigError) as caught:
        with_change(path, True)
    (told,) = caught.value.problems
    assert re.fullmatch(rf"configuration: {path}: got True, expected a .*number .*, not true or false", told)


def test_a_boolean_is_no_number_inside_a_table_of_numbers() -> None:
    """Tolerances and the bounds of single nodes are numbers too."""
    with pytest.raises(ConfigError, match=r"tolerance: got .* number of at least 0"):
        with_change("nodes.greeting.compare", {"tolerance": {"score": True}})
    with pytest.raises(ConfigError, match=r"sla\.nodes\.greeting\.parity: got True, expected a number above 0"):
        with_change("sla.nodes", {"greeting": {"parity": True}})


def test_what_is_true_or_false_stays_a_boolean() -> None:
    """Only numbers are asked for."""
    config = with_change("nodes.greeting.live", False)
    assert config.nodes["greeting"].live is False
