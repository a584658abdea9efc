"""What may leave the process: keyed hashes, declared words, type names, numbers. Nothing else."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import os
import re
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from otel_shadow import semconv
from otel_shadow._runtime.execution_result import ExecutionResult
from otel_shadow._runtime.observer import Observer
from otel_shadow._runtime.redact import Redactor, class_name, declared, error_type
from otel_shadow.config import NodeTable, PrivacyTable, ShadowConfig
from otel_shadow.hash_key import stretched
from otel_shadow.log_line import encode, lines
from otel_shadow.record import Arm, Comparison, Mode, Observation, Outcome, ShadowRecord, Status

SAFE = PrivacyTable().safe_session_id
HEX12 = re.compile(r"[0-9a-f]{12}")
Text = st.text(min_size=1)


def redactor(key: str = "k") -> Redactor:
    return Redactor(key, SAFE)


def test_the_hash_is_an_hmac_of_twelve_hex_digits() -> None:
    """HMAC-SHA-256 (RFC 2104) under the stretched key, its first 12 hex digits: the same in every process, for ever."""
    key = hashlib.scrypt(b"secret", salt=b"otel-shadow", n=2**14, r=8, p=1, dklen=32)
    expected = hmac.new(key, "olá".encode(), hashlib.sha256).hexdigest()[:12]
    assert Redactor("secret").digest("olá") == expected == "4c97a4cc2d2d"


@given(Text, Text)
def test_one_key_joins_and_another_does_not(text: str, other: str) -> None:
    """Under one key a text has one hash; under another key, another (a keyless hash of a phone number is no secret)."""
    assert redactor("a").digest(text) == redactor("a").digest(text)
    assert redactor("a").digest(text) != redactor("b").digest(text)
    assert text == other or redactor("a").digest(text) != redactor("a").digest(other)


@given(Text)
def test_an_id_is_hashed_unless_it_is_of_the_safe_pattern(value: str) -> None:
    """Whatever an id looks like, what is written is its hash, or a whole match of the pattern."""
    written = redactor().identifier(value)
    assert HEX12.fullmatch(written) or (written == value and re.fullmatch(SAFE, value))


@pytest.mark.parametrize(
    "value", ["demo_001", "session_123", "sess-9", "u7", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "thread12345"]
)
def test_safe_ids_stay_readable(value: str) -> None:
    """UUIDs and a generic word with at most five digits say nothing of anybody."""
    assert redactor().identifier(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "maria", "maria_silva", "maria.silva@example.com", "+55 11 91234-5678", "5511912345678", "user_123456",
        "session_maria", "demo_001 maria", "demo_001\n", "ana1", "São Paulo", "",
    ],
)  # fmt: skip
def test_ids_that_may_name_somebody_are_hashed(value: str) -> None:
    """Names, addresses, phone numbers, long digits: hashed."""
    assert HEX12.fullmatch(redactor().identifier(value))


def test_the_key_id_tells_keys_apart_and_is_no_part_of_a_hash() -> None:
    """Replicas with one key have one key id; a random key is said to be one."""
    assert redactor("a").key_id == redactor("a").key_id != redactor("b").key_id
    assert Redactor(None).random_key
    assert Redactor(None).key_id != Redactor(None).key_id
    assert not redactor().random_key


def test_no_hash_and_no_id_is_made_with_the_bare_secret() -> None:
    """A guess costs some 50 ms of scrypt: neither key id nor hash can be tried with a plain HMAC."""
    for secret in ("a", "demo", "correct horse battery staple"):
        bare = hmac.new(secret.encode(), b"otel-shadow key id", hashlib.sha256).hexdigest()
        assert redactor(secret).former_key_id == bare[:8]
        assert redactor(secret).key_id != bare[:8]
        assert redactor(secret).digest("x") != hmac.new(secret.encode(), b"x", hashlib.sha256).hexdigest()[:12]


def test_the_key_is_stretched_at_the_first_hash_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a redactor costs the start of the application nothing, and further hashes are plain ones."""
    calls: list[bytes] = []

    def counted(secret: bytes) -> bytes:
        calls.append(secret)
        return b"k" * 32

    monkeypatch.setattr("otel_shadow._runtime.redact.stretched", counted)
    made = redactor("secret")
    assert calls == []
    for text in ("x", "y"):
        made.digest(text)
    assert made.key_id
    assert calls == [b"secret"]


def test_where_scrypt_is_forbidden_the_key_is_stretched_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenSSL under FIPS refuses scrypt: PBKDF2 takes its place, and the records have hashes."""
    expected = hashlib.pbkdf2_hmac("sha256", b"secret", b"otel-shadow", 600_000)

    def refuse(*_: object, **__: object) -> bytes:
        raise ValueError("unsupported")

    monkeypatch.setattr(hashlib, "scrypt", refuse)
    assert stretched.__wrapped__(b"secret") == expected


@pytest.mark.parametrize(
    "secret",
    [
        "a", "demo", "fifteen bytes..", "one-secret-for-all-replicas", "change-me-in-production",
        "SECRET_SECRET_SECRET", "my-secret-hash-key-2024", "passwordpassword1", "your secret key here",
        "mysecretkey12345678", "1234567890-1234567890",
    ],
)  # fmt: skip
def test_a_key_that_is_short_or_of_common_words_is_weak(secret: str) -> None:
    """What people write where a secret is asked for is found in any list of guesses."""
    told = redactor(secret).weakness
    assert told in (f"has {len(secret)} bytes, and 16 are the least", "is made of common words only")


@pytest.mark.parametrize(
    "secret",
    [
        "b8e2f4a6c0d1e3f5",
        "9f86d081-884c-7d65-9a2f-eaa0c55ad015",
        "correct horse battery staple",
        "ångström pâté",
    ],
)
def test_a_key_of_other_bytes_is_not(secret: str) -> None:
    """Sixteen bytes that are not listed words, a passphrase too."""
    assert redactor(secret).weakness is None
    assert Redactor(None).weakness is None


def test_blanks_around_the_key_are_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that one replica reads from a file with its end of line is the same key."""
    monkeypatch.setenv("OTEL_SHADOW_HASH_KEY", " shared\r\n")
    assert Redactor().key_id == Redactor("shared").key_id


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``OTEL_SHADOW_HASH_KEY`` makes the hashes of all replicas one."""
    monkeypatch.setenv("OTEL_SHADOW_HASH_KEY", "shared")
    assert Redactor().digest("x") == Redactor("shared").digest("x")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_fork_while_the_key_is_made_has_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server forks while the first record is made: no lock stays held in the child, where V1's answers go on."""
    begun, go_on, parent = threading.Event(), threading.Event(), os.getpid()

    def slowly(secret: bytes) -> bytes:
        if os.getpid() == parent:
            begun.set()
            go_on.wait()
        return hashlib.sha256(secret).digest()

    monkeypatch.setattr("otel_shadow._runtime.redact.stretched", slowly)
    made = redactor("secret")
    first = threading.Thread(target=lambda: made.digest("x"))
    first.start()
    begun.wait()
    if (child := os.fork()) == 0:
        signal.alarm(60)  # a child that hangs is killed by it
        os._exit(0 if HEX12.fullmatch(made.digest("x")) and made.verify_key else 1)
    go_on.set()
    first.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_content_blocks_are_hashed_as_their_text() -> None:
    """A message in blocks is the same message as one in a string; images and empty ones have no hash."""
    whole = redactor().message("olá mundo")
    assert redactor().message([{"type": "text", "text": "olá "}, {"type": "text", "text": "mundo"}]) == whole
    assert redactor().message(["olá ", "mundo"]) == whole
    assert redactor().message([{"type": "image", "data": "x"}]) is None
    assert redactor().message("") is None
    assert redactor().message(None) is None


def test_lone_surrogates_are_hashed_too() -> None:
    """A text that is no valid Unicode is no reason to lose the pair."""
    assert HEX12.fullmatch(redactor().digest("\ud800"))


@given(st.one_of(st.none(), Text, st.integers(), st.lists(Text)), st.frozensets(Text, max_size=3))
def test_only_declared_words_pass(value: Any, allowed: frozenset[str]) -> None:
    """A step, stage or category is a declared word, ``_other``, or absent."""
    seen = declared(value, allowed)
    assert seen is None if value is None else seen in allowed or seen == semconv.OTHER


def test_an_exception_is_its_type_and_nothing_of_its_message() -> None:
    """A class's name, unless the class was made at run time: such a name could be anything, its base's name is code."""
    assert error_type(ValueError("Maria Silva, 11 91234-5678")) == "ValueError"
    for name in ("Maria Silva", "maria@example.com", "J\u00falia", "MariaSilva_11912345678"):
        assert error_type(type(name, (ValueError,), {})()) == "ValueError"
        assert error_type(type(name, (ValueError,), {})) == "ValueError"
        assert class_name(type(name, (), {})) == semconv.OTHER
    assert error_type(None) is None


def test_a_metaclass_does_not_name_its_classes() -> None:
    """What a metaclass or an instance answers when asked for its class or name is not asked for."""

    class Named(type):
        @property
        def __name__(cls) -> str:
            return "Maria"

    class Sly(Exception, metaclass=Named):
        @property
        def __class__(self) -> Any:
            raise RuntimeError("Maria")

    renamed = type("Local", (KeyError,), {"__qualname__": "somewhere.<locals>.Local"})
    renamed.__name__ = "Maria"
    assert error_type(Sly()) == "Sly"
    assert error_type(renamed()) == "KeyError"


def spoofed(name: str, **said: Any) -> list[type]:
    """Classes made from data that say of themselves, in each way there is, that a programmer wrote them."""
    places = [
        name,
        f"spoofed.<locals>.{name}",
        f"somewhere.<locals>.{name}",
        f"TestObserver.{name}",
        f"<locals>.{name}",
    ]
    modules = [__name__, "builtins", "nowhere", "", name]
    return [
        type(name, (ValueError,), {"__qualname__": place, "__module__": module, **said})
        for place in places
        for module in modules
    ]


def test_a_class_is_not_named_by_what_it_says_of_itself() -> None:
    """``__qualname__`` is a word: a class is named that its module has, or whose body is in a function."""
    for made in [*spoofed("MariaSilva"), *spoofed("MariaSilva", __str__=lambda self: "x")]:
        assert error_type(made()) == "ValueError"
        made.__name__ = "Maria"
        made.__qualname__ = "Maria.<locals>.Maria"
        assert error_type(made()) == "ValueError"

    class Written(Exception):
        pass

    Written.__name__ = "MariaSilva"
    assert error_type(Written()) == "Exception"
    Written.__qualname__ = Written.__qualname__.replace("Written", "MariaSilva")
    assert error_type(Written()) == "Exception"


def plain(function: Any) -> Any:
    return functools.lru_cache(function)


@plain
def wrapped() -> type:
    class Deep(Exception):
        pass

    return Deep


def without_trace(function: Any) -> Any:
    return lambda: function()


@without_trace
def hidden() -> tuple[type, type]:
    class Bodiless(ValueError):
        pass

    class WithMethod(ValueError):
        def method(self) -> None:
            pass

    return Bodiless, WithMethod


def test_classes_within_functions_are_named() -> None:
    """Where the function's code is found, or a method of the class was compiled in it."""

    def inner() -> type:
        class Inner(Exception):
            pass

        return Inner

    assert error_type(inner()) == "Inner"
    assert error_type(wrapped.__wrapped__()) == "Deep"  # type: ignore[attr-defined]
    assert [error_type(made) for made in hidden()] == ["ValueError", "WithMethod"]


class TestObserver:
    """Observations of a shadowed node: what of an execution's result may be written."""

    config = ShadowConfig.from_mapping(
        {
            "session": {"step": "step", "stage": "stage", "intent": "intent", "steps": ["one"], "intents": ["buy"]},
            "nodes": {
                "n": {"observe": {"numbers": ["score", "found"], "categories": {"action": ["template", "handoff"]}}}
            },
        }
    )
    observer = Observer(config, config.nodes["n"], ["n", "other_node"])

    def see(self, **state: Any) -> Observation:
        result = ExecutionResult(Status.SUCCESS, ("other_node",), state)
        return self.observer.observation(result, self.observer.view(state, {}, {}), 0.1, None)

    def test_undeclared_steps_and_stages_are_other(self) -> None:
        """A step that a model made up may be a sentence of the user's."""
        seen = self.see(step="Maria wants a visit", stage="Maria")
        assert (seen.step, seen.stage) == (semconv.OTHER, semconv.OTHER)
        assert self.see(step="one", stage="other_node").step == "one"

    @pytest.mark.parametrize(
        ("targets", "written"),
        [
            (("other_node",), "other_node"),
            (("__end__",), "__end__"),
            (("n", "other_node"), "n+other_node"),
            (("Maria",), "_other"),
            (("parent:other_node",), "parent:other_node"),
            (("parent:Maria",), "_other"),
            (("deferred:other_node",), "deferred:other_node"),
            (("deferred:Maria",), "_other"),
            (("error:ValueError",), "error:ValueError"),
            (("error:Maria Silva",), "error:_other"),
            (("Maria:other_node",), "_other"),
            ((), None),
        ],
    )
    def test_targets_are_nodes_of_the_graph(self, targets: tuple[str, ...], written: str | None) -> None:
        """A decision names nodes, joined by ``+``; what is no node, or no type of an error, is ``_other``."""
        assert self.observer.target(targets) == written

    def test_numbers_and_declared_categories_are_observed(self) -> None:
        """Numbers as they are, lists as their length, categories if declared, text never."""
        seen = self.see(score=0.5, found=["Ana", "Rui"], action="template")
        assert dict(seen.observed) == {"score": 0.5, "found": 2, "action": "template"}
        assert dict(self.see(score="Maria", found={"Maria": 1}, action="Maria").observed) == {"action": "_other"}

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_a_number_that_json_lacks_is_left_out(self, value: float) -> None:
        """NaN and infinity would cost the whole line."""
        assert dict(self.see(score=value).observed) == {}


def record(**changes: Any) -> ShadowRecord:
    """A pair with every field filled in."""
    v1 = Observation(Status.SUCCESS, 0.0125, "qualification", "one", "greeting", None, "b" * 16, {"score": 0.5})
    v2 = Observation(Status.SUCCESS, 0.0452, "qualification", "one", "greeting", None, "c" * 16, {"score": 0.75})
    values: dict[str, Any] = {
        "pair_id": "p1",
        "graph": "enrolment",
        "node": "greeting",
        "mode": Mode.V2_SHADOW,
        "arm": Arm.SHADOWED,
        "session_id": "demo_001",
        "timestamp": datetime(2025, 1, 9, 10, 30, 45, 123456, UTC),
        "v1": v1,
        "v2": v2,
        "comparison": Comparison(Outcome.MATCH, True, True, ("messages",)),
        "v1_served": True,
        "user_message_hash": "a1b2c3d4e5f6",
        "trace_id": "a" * 32,
        **changes,
    }
    return ShadowRecord(**values)


Anything = st.text(max_size=6000)
Names = st.dictionaries(st.text(max_size=300), st.one_of(st.floats(allow_nan=False, allow_infinity=False), Anything))


@example("g" * 6000, "é" * 6000, ("f" * 400,) * 80, {f"{n:0>300}": 1.5 for n in range(80)}, ("t" * 6000,) * 20)
@example("", "", (), {f"{n:0>30}": "x" * 6000 for n in range(60)}, ())
@given(
    graph=Anything,
    node=Anything,
    fields=st.lists(st.text(max_size=400), max_size=80).map(tuple),
    observed=Names,
    tools=st.lists(Anything, max_size=20).map(tuple),
)
def test_a_line_is_one_line_of_json_of_at_most_4096_bytes(
    graph: str, node: str, fields: tuple[str, ...], observed: dict[str, Any], tools: tuple[str, ...]
) -> None:
    """However long the names, a line fits, ends with its one newline, parses, and keeps the keys of the contract."""
    v1 = Observation(Status.SUCCESS, 0.1, observed=observed)
    found = record(
        graph=graph, node=node, v1=v1, v2=v1, comparison=Comparison(Outcome.MISMATCH, False, None, fields),
        blocked_tools=tools,
    )  # fmt: skip
    for line in lines(found):
        data = encode(line)
        assert len(data) <= semconv.LINE_MAX_BYTES
        assert data.endswith(b"\n")
        assert data.count(b"\n") == 1
        read = json.loads(data)
        assert line.keys() <= read.keys()
        assert read.keys() - line.keys() <= {"truncated"}
        for key in ("pair_id", "session_id", "mode", "arm", "schema", "timestamp", "trace_id", "comparison"):
            assert read[key] == line[key]


def test_sixty_observed_numbers_leave_the_contract_whole() -> None:
    """What is cut is what was observed, never a key that a reader of evidence needs."""
    observed = {f"a_long_name_of_a_number_{n:03}": n / 7 for n in range(60)}
    v1 = Observation(Status.SUCCESS, 0.1, observed=observed)
    execution, _ = lines(record(v1=v1, v2=v1))
    read = json.loads(encode(execution))
    assert read["truncated"] is True
    assert read["decision_comparison"]["decisions_match"] is True
    assert set(read) == {*execution, "truncated"}


def test_a_name_that_is_no_valid_unicode_costs_no_line() -> None:
    """A lone surrogate in the name of a state field is written as a question mark."""
    found = record(comparison=Comparison(Outcome.MISMATCH, False, True, ("\ud800",)))
    assert json.loads(encode(lines(found)[0]))["diff_fields"] == ["?"]


def test_blocked_tools_are_names_that_the_configuration_knows(make_shadow_capture: Callable[..., Any]) -> None:
    """A tool's name may be made at run time: what ``[tools]`` does not name is ``_other``."""
    from small_graphs import call, left, small_graph

    from otel_shadow import SideEffectBlockedError, side_effect

    def v2(state: dict[str, Any]) -> dict[str, Any]:
        for name in ("book_visit", "call Maria Silva", "call_maria"):
            with pytest.raises(SideEffectBlockedError):
                side_effect(name=name)(lambda: None)()
        return left(state)  # type: ignore[arg-type]

    capture = make_shadow_capture({"tools": {"block": ["book_visit"]}})
    call(capture.attach(small_graph(), {"left": v2}))
    assert capture.lines(semconv.EVENT_V2)[0]["blocked_tools"] == ["book_visit", "_other"]


def test_a_message_of_langchain_is_read_at_the_configured_path() -> None:
    """The default path finds the text of the last message."""
    observer = Observer(ShadowConfig(), NodeTable())
    assert observer.user_message({"messages": [HumanMessage("a"), HumanMessage("b")]}, {}) == "b"
