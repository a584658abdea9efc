"""What the commands ``calibrate`` and ``coverage`` do: read, propose, print, write."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from otel_shadow.errors import ConfigError, require

require("sklearn", "calibration")

from otel_shadow._calibration.calibration import Options, calibrate  # noqa: E402 - after the check that names the extra
from otel_shadow._calibration.calibration_document import calibration_document  # noqa: E402
from otel_shadow._calibration.labels import Names, read_labels  # noqa: E402
from otel_shadow._calibration.pairs import PairSet, read_pairs  # noqa: E402
from otel_shadow._calibration.proposal_file import proposal_file  # noqa: E402
from otel_shadow._calibration.threshold_proposals import STRICTNESS  # noqa: E402
from otel_shadow._calibration.thresholds_file import read_thresholds  # noqa: E402
from otel_shadow._report.html_page import page, write  # noqa: E402
from otel_shadow._report.shown_text import clean, json_text  # noqa: E402
from otel_shadow._report.terminal import console, show  # noqa: E402
from otel_shadow._report.written_files import keep_sources  # noqa: E402
from otel_shadow.config import ShadowConfig  # noqa: E402
from otel_shadow.verdict.json_data import plain  # noqa: E402

EXIT_NOT_ENOUGH = 3


def run_calibrate(
    sources: Sequence[str],
    *,
    labels: Path | None = None,
    out: Path | None = None,
    as_json: bool = False,
    html: Path | None = None,
    current: Path | None = None,
    build: str | None = None,
    strictness: Sequence[tuple[str, float]] = (),
    observed: Sequence[tuple[str, str]] = (),
    **numbers: float,
) -> int:
    """Propose thresholds and time limits from the pairs in ``sources``; write them to ``out`` if there are any.

    ``numbers`` are those of ``Options``, such as ``alpha``. The exit code is 0, or 3 where the evidence is not enough
    for any proposal; EvidenceError and ConfigError say which input can't be used and what is expected.
    """
    given: dict[str, Any] = dict(numbers)
    if current is not None:
        given["current"], given["current_nodes"], given["current_intents"] = read_thresholds(current)
    parts = tuple({**STRICTNESS, **dict(strictness)}.items())
    options = Options(names=_names(observed), strictness=parts, **given)
    keep_sources(sources, {"--out": out, "--html": html}, read=[labels, current])
    pairs = read_pairs(sources, build)
    if pairs.blockers:
        return _blocked(pairs)
    found = calibrate(pairs, options, read_labels(labels) if labels else None)
    told = sys.stdout
    if as_json:
        told = sys.stderr
        _print_json(found)
    else:
        show(calibration_document(found, drawn=False), console(sys.stdout))
    if html is not None:
        write(html, page(calibration_document(found, drawn=True)))
        print(f"page written to {html}", file=told)
    if not found.proposes:
        print("nothing can be proposed: not enough data, or no setting keeps the bounds", file=told)
        return EXIT_NOT_ENOUGH
    if out is not None:
        write(out, proposal_file(found))
        print(
            f"written to {out}; nothing that runs was changed. Load it with Thresholds.from_file (thresholds, intents) "
            f"and FeatureFlags.from_file (V2_TIMEOUT_MS)",
            file=told,
        )
    return 0


def run_coverage(
    sources: Sequence[str],
    *,
    corpus: Path | None = None,
    config: Path | None = None,
    as_json: bool = False,
    build: str | None = None,
    observed: Sequence[tuple[str, str]] = (),
) -> int:
    """Show what the pairs in ``sources`` cover and, with a local ``corpus``, what is missing."""
    from otel_shadow._calibration.corpus import read_corpus
    from otel_shadow._calibration.coverage import coverage_of
    from otel_shadow._calibration.coverage_document import coverage_document
    from otel_shadow._calibration.gaps import find_gaps

    names, settings = _names(observed), ShadowConfig.load(config)
    declared = tuple(dict.fromkeys((*settings.session.intents, *settings.sla.intents)))
    pairs = read_pairs(sources, build)
    if pairs.blockers:
        return _blocked(pairs)
    found = coverage_of(pairs.pairs, declared, names)
    gaps = find_gaps(read_corpus(corpus, pairs, declared), names) if corpus else None
    if as_json:
        _print_json({"coverage": found, "corpus": gaps, "notes": pairs.notes})
    else:
        show(coverage_document(found, gaps, pairs.notes), console(sys.stdout))
    return 0


def _blocked(pairs: PairSet) -> int:
    """Say on standard error why the evidence allows no conclusion."""
    for one in pairs.blockers:
        print(f"otel-shadow: nothing is concluded: {clean(one)}", file=sys.stderr)  # noqa: T201
    return EXIT_NOT_ENOUGH


def _names(observed: Sequence[tuple[str, str]]) -> Names:
    known = [one.name for one in fields(Names)]
    problems = [f"--observed {name}: expected one of {', '.join(known)}" for name, _ in observed if name not in known]
    if problems:
        raise ConfigError(problems)
    return Names(**dict(observed))


def _print_json(found: Any) -> None:
    print(json_text({"schema": 1, **plain(found)}))  # noqa: T201
