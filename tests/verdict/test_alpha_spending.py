"""The levels of repeated looks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otel_shadow.verdict.alpha_spending import PlannedLook, levels, spent

PARITY = math.log(0.05) / math.log(0.95)


def looks(*information: float) -> list[PlannedLook]:
    """Return looks at these sizes."""
    return [PlannedLook(size) for size in information]


def test_seven_even_looks_have_the_levels_of_the_tables() -> None:
    """The levels at 100 to 700 sessions."""
    found = levels(looks(*range(100, 800, 100)), PARITY)
    assert found == pytest.approx((0.0316, 0.0135, 0.0080, 0.0055, 0.0041, 0.0032, 0.0026), abs=5e-5)


def test_all_looks_together_err_as_rarely_as_promised() -> None:
    """Of streams at the bound itself, looked at at any sizes, alpha at most are ever above a look's level."""
    rng = np.random.default_rng(7)
    sizes = [30.0, 45.0, 200.0, 210.0, 900.0]
    found = np.array(levels(looks(*sizes), PARITY))
    steps = np.sqrt(np.diff([0.0, *sizes]))
    z = np.cumsum(rng.standard_normal((200_000, 5)) * steps, axis=1) / np.sqrt(sizes)
    p = np.vectorize(math.erfc)(z / math.sqrt(2.0)) / 2.0
    erred = float((p <= found).any(axis=1).mean())
    assert erred == pytest.approx(spent(900.0, PARITY), abs=0.002)
    assert erred < 0.05


def test_a_look_that_can_prove_nothing_spends_nothing() -> None:
    """Where no outcome could pass, the look costs the later ones nothing."""
    alone = levels(looks(300.0), PARITY)
    after = levels([PlannedLook(10.0, best_p=0.95**10), PlannedLook(300.0)], PARITY)
    assert after == (0.0, alone[0])


def test_a_look_at_nothing_new_keeps_the_level() -> None:
    """The same evidence looked at again is the same test."""
    found = levels(looks(100.0, 100.0, 200.0), PARITY)
    assert found[1] == found[0]
    assert found[2] == levels(looks(100.0, 200.0), PARITY)[1]
