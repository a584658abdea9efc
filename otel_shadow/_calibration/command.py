"""What the commands ``calibrate`` and ``coverage`` do: read, propose, print, write."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_shadow.errors import ConfigError, require

require("sklearn", "calibration")

from otel_shadow._calibration.calibration import Options, calibrate  # noqa: E402
from otel_shadow._calibration.labels import Names, read_labels  # noqa: E402
from otel_shadow._calibration.pairs import PairSet, read_pairs  # noqa: E402
from otel_shadow._calibration.proposal_file import document, has_proposal, pattern_file  # noqa: E402
from otel_shadow._calibration.router import ACTIONS, STRICTNESS  # noqa: E402
from otel_shadow._calibration.thresholds_file import read_thresholds  # noqa: E402 - after the check that names the missing extra
from otel_shadow.config import ShadowConfig  # noqa: E402

if TYPE_CHECKING:
    from otel_shadow._calibration.gaps import Gaps

EXIT_NOT_ENOUGH = 3


def run_calibrate(
    sources: Sequence[str],
    *,
    labels: Path | None = None,
    alpha: float = 0.05,
    delta: float = 0.05,
    out: Path | None = None,
    as_json: bool = False,
    html: Path | None = None,
    current: Path | None = None,
    held_out: float = 0.25,
    start: float = 0.5,
    build: str | None = None,
    strictness: Sequence[tuple[str, float]] = (),
    observed: Sequence[tuple[str, str]] = (),
) -> int:
    """Propose thresholds and time limits from the pairs in ``sources``; write them to ``out`` if there are any.

    Returns:
        0, or 3 where the evidence is not enough for any proposal.

    Raises:
        EvidenceError, ConfigError: what was given can't be used; the message says what is expected.
    """
    options = _options(alpha, delta, (held_out, start), current, strictness, _names(observed))
    from otel_shadow._calibration.calibration_document import calibration_document

    found = calibrate(read_pairs(sources, build), options, read_labels(labels) if labels else None)
    proposed = has_proposal(found)
    if as_json:
        _print_json(found)
    else:
        from otel_shadow._report.terminal import console, show

        show(calibration_document(found, drawn=False), console(sys.stdout))
    if html is not None:
        from otel_shadow._report.html_page import page

        _write(html, page(calibration_document(found, drawn=True)))
    if out is not None and proposed:
        _write(out, document(found))
    _tell(out, html, proposed, sys.stderr if as_json else sys.stdout)
    return 0 if proposed else EXIT_NOT_ENOUGH


def run_coverage(
    sources: Sequence[str],
    *,
    corpus: Path | None = None,
    config: Path | None = None,
    out: Path | None = None,
    as_json: bool = False,
    build: str | None = None,
    observed: Sequence[tuple[str, str]] = (),
) -> int:
    """Show what the pairs in ``sources`` cover and, with a local ``corpus``, what is missing.

    Raises:
        EvidenceError, ConfigError: what was given can't be used; the message says what is expected.
    """
    from otel_shadow._calibration.coverage import coverage_of

    names, settings = _names(observed), ShadowConfig.load(config)
    declared = tuple(dict.fromkeys((*settings.session.intents, *settings.sla.intents)))
    if out is not None and corpus is None:
        raise ConfigError(["--out writes patterns, which are found in texts: name a local --corpus"])
    pairs = read_pairs(sources, build)
    found = coverage_of(pairs.pairs, declared, names)
    gaps = _gaps(corpus, pairs, declared, names) if corpus else None
    if as_json:
        _print_json({"coverage": found, "corpus": gaps, "notes": pairs.notes})
    else:
        from otel_shadow._calibration.coverage_document import coverage_document
        from otel_shadow._report.terminal import console, show

        show(coverage_document(found, gaps, pairs.notes), console(sys.stdout))
    if out is not None and gaps is not None:
        _write(out, pattern_file(gaps))
    return 0


def _gaps(path: Path, pairs: PairSet, declared: Sequence[str], names: Names) -> Gaps:
    from otel_shadow._calibration.corpus import read_corpus
    from otel_shadow._calibration.gaps import find_gaps

    return find_gaps(read_corpus(path, pairs, declared), names)


def _options(
    alpha: float,
    delta: float,
    shares: tuple[float, float],
    current: Path | None,
    strictness: Sequence[tuple[str, float]],
    names: Names,
) -> Options:
    problems = [
        f"--{name} {value:g}: expected a number between 0 and 1"
        for name, value in (("alpha", alpha), ("delta", delta))
        if not 0 < value < 1
    ]
    held_out, start = shares
    if not 0 < start <= 1:
        problems.append(f"--start {start:g}: expected a coverage above 0, at most 1")
    if not 0 <= held_out < 1:
        problems.append(f"--held-out {held_out:g}: expected a share from 0 to below 1")
    parts = {**STRICTNESS, **dict(strictness)}
    problems += [f"--strictness {name}: no such action; expected {', '.join(ACTIONS)}" for name in parts
                 if name not in ACTIONS]  # fmt: skip
    problems += [f"--strictness {name}={share:g}: expected a share of alpha in (0, 1]" for name, share in parts.items()
                 if not 0 < share <= 1]  # fmt: skip
    if problems:
        raise ConfigError(problems)
    base = Options(
        alpha=alpha, delta=delta, held_out=held_out, names=names, strictness=tuple(parts.items()), start=start
    )
    if current is None:
        return base
    general, nodes, intents = read_thresholds(current)
    return replace(base, current=general, current_nodes=nodes, current_intents=intents)


def _names(observed: Sequence[tuple[str, str]]) -> Names:
    known = [one.name for one in fields(Names)]
    problems = [f"--observed {name}: expected one of {', '.join(known)}" for name, _ in observed if name not in known]
    if problems:
        raise ConfigError(problems)
    return Names(**dict(observed))


def _print_json(found: Any) -> None:
    from otel_shadow.verdict.json_data import plain

    print(json.dumps({"schema": 1, **plain(found)}, ensure_ascii=False, indent=2, allow_nan=False))  # noqa: T201


def _write(path: Path, text: str) -> None:
    from otel_shadow._report.html_page import write

    write(path, text)


def _tell(out: Path | None, html: Path | None, proposed: bool, stream: Any) -> None:
    if html is not None:
        print(f"page written to {html}", file=stream)
    if not proposed:
        print("nothing can be proposed: not enough data, or no setting keeps the bounds", file=stream)
    elif out is not None:
        print(
            f"written to {out}; nothing that runs was changed. Load it with Thresholds.from_file (thresholds, intents) "
            f"and FeatureFlags.from_file (V2_TIMEOUT_MS)",
            file=stream,
        )
