"""What V2 reads out of messages; every sentence here is authored."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_shadow._demo.state import Language
from otel_shadow._demo.v2.extract import ages, child_names, dates, level_of_age, levels, names, times
from otel_shadow._demo.v2.extract.normal import fold, normalise

NOW = datetime.fromisoformat("2025-01-09T10:00:00")  # a Thursday


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Oi, sou a Maria", "Maria"),
        ("oi, meu nome e joao da silva", "joao da silva"),
        ("Meu nome é Rita de Cássia, tudo bem?", "Rita de Cássia"),
        ("Aqui é o Carlos Eduardo", "Carlos Eduardo"),
        ("quem fala é a Dona Teresa", "Teresa"),
        ("Sou a mãe do Pedro, Fernanda", "Fernanda"),
        ("boa tarde, Renata aqui", "Renata"),
        ("pode me chamar de Beto", "Beto"),
        ("nome: Camila", "Camila"),
        ("im maria", "maria"),
        ("This is Mrs. Jones", "Jones"),
        ("hello, John Smith speaking", "John Smith"),
        ("The booking is under the name Ana Lima, I think", "Ana Lima"),
        ("Osborne is my surname", "Osborne"),
    ],
)
def test_the_writers_name(text: str, name: str) -> None:
    """Names are found with and without accents, capitals, titles and particles."""
    assert [mention.value for mention in names(text)] == [name]


@pytest.mark.parametrize(
    "text",
    [
        "sou nova aqui",
        "Sou professora",
        "Sou mãe do Lucas",
        "I'm looking for a course",
        "this is urgent",
        "Bom dia",
        "oi",
    ],
)
def test_what_is_no_name(text: str) -> None:
    """Words that follow "sou" or "I'm" are names only where they look like one."""
    assert names(text) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Minha filha chama Ana e tem 8 anos", "Ana"),
        ("meu filho joão tem 7 anos", "joão"),
        ("Meu filho Pedro Henrique, 9 anos", "Pedro Henrique"),
        ("minha filha de 6 anos se chama Júlia", "Júlia"),
        ("tenho uma filha de 8 anos chamada Sofia", "Sofia"),
        ("é para o Lucas, ele tem 10", "Lucas"),
        ("a Bia fez 5 anos", "Bia"),
        ("Ele se chama Enzo Gabriel da Silva e está no 3º ano", "Enzo Gabriel da Silva"),
        ("aluno: Rafael Souza, 14 anos", "Rafael Souza"),
        ("My daughter Emma is 7", "Emma"),
        ("our kid's name is Liam, age 6", "Liam"),
        ("for my son Noah who is 11", "Noah"),
    ],
)
def test_the_childs_name(text: str, name: str) -> None:
    """The child's name is found beside its age and level, and is not taken for the parent's."""
    assert [mention.value for mention in child_names(text)] == [name]
    assert names(text) == []


@pytest.mark.parametrize("text", ["minha filha adora matemática", "meu filho tem 12 anos", "é para minha filha"])
def test_a_child_without_a_name(text: str) -> None:
    """What a child does or has is not its name."""
    assert child_names(text) == []


def test_a_bare_answer_is_a_name_only_where_one_was_asked_for() -> None:
    """A lower-case word alone is a name as an answer, and nothing otherwise; a first name with a surname always is."""
    assert [m.value for m in names("thaís", asked=True)] == ["thaís"]
    assert names("gostei", asked=False) == []
    assert [m.value for m in names("Pedro Augusto Guimarães")] == ["Pedro Augusto Guimarães"]
    assert child_names("não sei", asked=True) == []


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("tem 8 anos", 8),
        ("ela tem quase vinte e um anos", 21),
        ("4 aninhos", 4),
        ("He is 12 years old", 12),
        ("a six-year-old", 6),
        ("aged 9", 9),
        ("Ana fez 7", 7),
        ("o bebê tem 18 meses", 1),
        ("ten and a half years old", 10),
    ],
)
def test_ages(text: str, age: int) -> None:
    """Digits, words and months give whole years."""
    assert [mention.value for mention in ages(text)][:1] == [age]


@pytest.mark.parametrize(
    "text", ["moro aqui há 5 anos", "nos próximos 3 anos", "in 2 years", "tem 8 horas", "às 9", "dia 10", "3 filhos"]
)
def test_numbers_that_are_no_ages(text: str) -> None:
    """Periods, clocks and counts are not ages."""
    assert [mention for mention in ages(text) if mention.score >= 0.5] == []


def test_a_lone_number_is_an_age_where_one_was_asked_for() -> None:
    """Also behind the name that was asked for."""
    assert ages("7") == []
    assert [m.value for m in ages("7", asked=True)] == [7]
    assert [m.value for m in ages("Pedro, 7", asked=True)] == [7]


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("está no 3º ano", "elementary_1"),
        ("sétimo ano", "elementary_2"),
        ("primeiro ano do ensino médio", "high_school"),
        ("she is in 2nd grade", "elementary_1"),
        ("vai para a creche", "early_childhood"),
        ("middle school", "elementary_2"),
        ("faz faculdade", "adult"),
    ],
)
def test_levels_by_name(text: str, level: str) -> None:
    """Grades and school names give the level."""
    assert [mention.value for mention in levels(text)][:1] == [level]


@given(st.integers(2, 110))
def test_the_level_follows_the_age(age: int) -> None:
    """2-5 early childhood, 6-10 elementary I, 11-14 elementary II, 15-17 high school, 18+ adult."""
    bounds = {"early_childhood": (2, 5), "elementary_1": (6, 10), "elementary_2": (11, 14), "high_school": (15, 17)}
    low, high = bounds.get(level_of_age(age), (18, 110))
    assert low <= age <= high


@pytest.mark.parametrize(
    ("text", "language", "day"),
    [
        ("hoje", "pt", "2025-01-09"),
        ("amnh", "pt", "2025-01-10"),
        ("depois de amanhã", "pt", "2025-01-11"),
        ("sexta", "pt", "2025-01-10"),
        ("na próxima terça-feira", "pt", "2025-01-14"),
        ("quinta", "pt", "2025-01-16"),
        ("daqui a duas semanas", "pt", "2025-01-23"),
        ("dia 8", "pt", "2025-02-08"),
        ("dia vinte de fevereiro", "pt", "2025-02-20"),
        ("03/04", "pt", "2025-04-03"),
        ("03/04", "en", "2025-03-04"),
        ("1º de março de 2026", "pt", "2026-03-01"),
        ("sexta-feira 14", "pt", "2025-02-14"),
        ("dia 5 do mês que vem", "pt", "2025-02-05"),
        ("next Tuesday", "en", "2025-01-14"),
        ("Friday the 31st", "en", "2025-01-31"),
        ("the 15th of this month", "en", "2025-01-15"),
        ("February twenty second", "en", "2025-02-22"),
        ("in three days", "en", "2025-01-12"),
        ("a week from tomorrow", "en", "2025-01-17"),
        ("30 de fevereiro", "pt", None),
        ("nasceu em 8 de maio de 2015", "pt", None),
        ("está no 5º ano", "pt", None),
    ],
)
def test_dates(text: str, language: Language, day: str | None) -> None:
    """Relative, named and numeric dates; impossible and foreign ones are none."""
    assert [mention.value.isoformat() for mention in dates(text, language, NOW)] == ([day] if day else [])


def test_an_answer_that_the_grammar_cannot_read_is_left_to_the_library() -> None:
    """Only where a date was asked for."""
    assert dates("2025 01 14", "pt", NOW) == []
    assert [mention.value for mention in dates("2025 01 14", "pt", NOW, asked=True)] == [date(2025, 1, 14)]


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("às 15h", "15:00"),
        ("15h30", "15:30"),
        ("às três e meia da tarde", "15:30"),
        ("quinze para as oito", "07:45"),
        ("ao meio-dia", "12:00"),
        ("8 da noite", "20:00"),
        ("hoje à tarde, às 4", "16:00"),
        ("10:15 am", "10:15"),
        ("half past three in the afternoon", "15:30"),
        ("quarter to nine", "08:45"),
        ("930pm", "21:30"),
        ("12 am", "00:00"),
        ("at noon", "12:00"),
        ("around 7ish", "07:00"),
        ("at 5 people", None),
        ("about one question", None),
        ("as 8 crianças", None),
        ("R$ 15.30", None),
        ("25:00", None),
    ],
)
def test_times(text: str, clock: str | None) -> None:
    """Clocks in digits and words, parts of the day, and numbers that are no times."""
    assert [mention.value for mention in times(text)] == ([clock] if clock else [])


@given(st.integers(0, 23), st.integers(0, 59))
def test_any_clock_is_read_back(hour: int, minute: int) -> None:
    """HH:MM and HHhMM are read as they are written."""
    clock = f"{hour:02d}:{minute:02d}"
    assert [mention.value for mention in times(f"às {clock}")] == [clock]
    assert [mention.value for mention in times(f"{hour}h{minute:02d}")] == [clock]


_MONTHS = (
    "janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro",
    "dezembro",
)  # fmt: skip


@given(st.dates(date(2025, 1, 10), date(2049, 12, 31)))
def test_any_full_date_is_read_back(day: date) -> None:
    """Three ways to write a day, in both languages."""
    for language in ("pt", "en"):
        assert [m.value for m in dates(f"em {day.isoformat()}", language, NOW)] == [day]
    assert [m.value for m in dates(f"dia {day.day} de {_MONTHS[day.month - 1]} de {day.year}", "pt", NOW)] == [day]
    assert [m.value for m in dates(f"on {day:%B} {day.day}, {day.year}", "en", NOW)] == [day]


@given(st.integers(0, 3650))
def test_a_weekday_is_within_the_week_after(offset: int) -> None:
    """Wherever today is, a weekday alone is one of the next seven days."""
    now = NOW + timedelta(days=offset)
    for weekday, name in enumerate(["segunda", "terça", "quarta", "quinta", "sexta", "sábado", "domingo"]):
        (found,) = dates(f"pode ser {name}?", "pt", now)
        assert found.value.weekday() == weekday
        assert 1 <= (found.value - now.date()).days <= 7


@given(st.text(max_size=80))
def test_every_mention_lies_in_its_text(text: str) -> None:
    """Spans are in the text, in order, disjoint, and name a piece of it; nothing raises."""
    found = [names(text), child_names(text, asked=True), ages(text, asked=True), times(text, asked=True)]
    for mentions in [*found, dates(text, "pt", NOW, asked=True), dates(text, "en", NOW)]:
        edges = [edge for mention in mentions for edge in (mention.start, mention.end)]
        assert edges == sorted(edges)
        assert all(0 <= edge <= len(text) for edge in edges)
        assert all(mention.start < mention.end for mention in mentions)  # type: ignore[attr-defined]


@given(st.text(max_size=60))
def test_normal_form_keeps_its_origins(text: str) -> None:
    """Folding keeps the length; every normalised character has an origin, in order."""
    assert len(fold(text)) == len(text)
    normal = normalise(text)
    assert len(normal.text) == len(normal.starts) == len(normal.ends)
    assert list(normal.starts) == sorted(normal.starts)
    assert all(start < end <= len(text) for start, end in zip(normal.starts, normal.ends, strict=True))
