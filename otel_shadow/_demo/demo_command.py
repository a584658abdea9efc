"""The command ``otel-shadow demo``: real conversations through a real graph, V1 served, V2 in its shadow."""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import time
from typing import Any

from otel_shadow import semconv
from otel_shadow._api.manager import ShadowTrafficManager, set_default_manager
from otel_shadow._calibration.conversations import DEMO_KEY, Conversation, MalformedLine, read_conversations
from otel_shadow._demo.bundled import CONVERSATIONS, SCENARIOS, bundled_config
from otel_shadow._demo.play import SimulatedClock, Tally, as_input, play, session_starts, this_minute
from otel_shadow._demo.screen import Screen
from otel_shadow._doctor.graph import import_graph, node_names
from otel_shadow._langgraph.instrument.attach import attach
from otel_shadow._report.sdk_providers import make_providers
from otel_shadow.config import ShadowConfig
from otel_shadow.errors import ConfigError, require
from otel_shadow.flags import FeatureFlags

_IDLE = timedelta(minutes=60)
"""After a simulated window this much silence, so that its last sessions are closed."""
_NEEDED = ("opentelemetry.sdk", "numpy", "duckdb", "jinja2", "matplotlib")
_NEEDED_BY_V2 = ("dateparser",)


def run_demo(
    *,
    conversations: Path | None = None,
    graph: str | None = None,
    config: Path | None = None,
    out: Path = Path("otel-shadow-demo"),
    simulate_window: timedelta | None = None,
    show_values: bool = False,
    lang: str | None = None,
    seed: int = 7,
) -> int:
    """Play conversations with shadow on, print what happened, judge it, write ``app.log`` and ``report.html``.

    Arguments:
        conversations: JSONL of utterances or dialogues; default: the bundled, authored ones.
        graph: ``module:attribute`` of the user's own graph; default: the enrolment assistant.
        config: ``shadow.toml``; default: the bundled one, or the user's own where ``graph`` is given.
        out: folder of the outputs; it is made. An ``app.log`` of an earlier run is replaced.
        simulate_window: spread the sessions over this span before now, under a simulated clock.
        show_values: show differing values on this terminal (they go nowhere else).

    The exit code is 0 whatever the verdict, which is printed (``otel-shadow verdict`` has exit codes for it).
    """
    for module in (*_NEEDED, *(() if graph else _NEEDED_BY_V2)):  # before anything is played
        require(module, "demo")
    from otel_shadow._report.verdict_command import judge  # needs what is asked for above

    screen = Screen()
    settings = ShadowConfig.load(config) if config or graph else bundled_config()
    played_from, bad = _read(conversations or CONVERSATIONS, lang)
    log = _fresh_log(out)
    if graph is None:  # authored or public conversations: a known key makes two runs comparable
        os.environ.setdefault(semconv.ENV_HASH_KEY, DEMO_KEY)
    clock = SimulatedClock() if simulate_window else None
    flags = FeatureFlags.resolve(settings.flags)
    source = DemoFlags(flags.model_copy(update={"router_v2_holdout": 0.0}))
    end = this_minute()
    starts = session_starts(len(played_from), simulate_window, end - _IDLE, seed) if simulate_window else []
    first_spans = require("opentelemetry.sdk.trace.export.in_memory_span_exporter", "demo").InMemorySpanExporter()
    providers, tally = make_providers("otel-shadow-demo", first_spans), Tally()
    manager = ShadowTrafficManager(
        settings,
        source,
        tracer_provider=providers.tracer,
        meter_provider=providers.meter,
        logger_provider=providers.logger,
        log_file=str(log),
        sinks=[tally],
        clock=clock or time,
        clock_name="simulated" if clock else "system",
        inspect=screen.differences if show_values else None,
    )
    set_default_manager(manager)  # decorated nodes of the user's own graph report here
    subject = _graph(graph, manager)
    if clock is not None:
        clock.now = starts[0]
    if graph is None:
        _scenarios(subject, manager, tally, screen)
        screen.span_tree(first_spans.get_finished_spans())
    first_spans.shutdown()
    if clock is not None:  # what is played in a minute of real time has room for no slots
        source.current = flags
    with screen.progress(sum(len(found.turns) for found in played_from)) as advance:
        played = play(
            subject, played_from, manager,
            message=settings.session.message, clock=clock, starts=starts, seed=seed, advance=advance,
        )  # fmt: skip
    complete = manager.flush(60.0)
    manager.shutdown()
    providers.shutdown()
    screen.summary(played, tally, bad, manager.fault_barrier.counts, complete)
    screen.heading("Verdict")
    page = out / "report.html"
    judge(sources=(str(log),), html=page, config=config, at=end if simulate_window else None)
    screen.where(log, page, providers.exporting)
    return 0


class DemoFlags:
    """Source of the flags: nothing is held out before the simulated window, so that each scenario has its shadow."""

    def __init__(self, current: FeatureFlags) -> None:
        self.current = current


def _read(path: Path, lang: str | None) -> tuple[list[Conversation], list[MalformedLine]]:
    """Return the conversations, ids made unique, and the lines that are none."""
    try:
        found = list(read_conversations(path))
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or type(error).__name__}; expected a JSONL file"]) from None
    good = [item for item in found if isinstance(item, Conversation) and lang in (None, item.lang)]
    bad = [item for item in found if isinstance(item, MalformedLine)]
    if not good:
        such = f" in {lang!r}" if lang else ""
        first = f" ({bad[0]})" if bad else ""
        raise ConfigError([f"{path}: no conversation in it{such}{first}; expected JSON Lines with text, or with turns"])
    seen: Counter[str] = Counter()
    for place, item in enumerate(good):
        seen[item.id] += 1
        if seen[item.id] > 1:
            good[place] = replace(item, id=f"{item.id}#{seen[item.id]}")
    return good, bad


def _fresh_log(out: Path) -> Path:
    log = out / "app.log"
    try:
        out.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError([f"{out}: {error.strerror}; name a folder that can be written with --out"]) from None
    return log


def _graph(path: str | None, manager: ShadowTrafficManager) -> Any:
    sys.path.insert(0, os.getcwd())
    found = import_graph(path or "otel_shadow._demo.workflow:graph")
    if not attach(found, manager):
        nodes = ", ".join(node_names(found))
        raise ConfigError(
            [f"{path}: no node has a V2: mark one with @with_shadow_v2 or name [nodes.X] v2; nodes: {nodes}"]
        )
    return found


def _scenarios(graph: Any, manager: ShadowTrafficManager, tally: Tally, screen: Screen) -> None:
    for scenario in SCENARIOS:
        turn = {**as_input(scenario.message, manager.config.session.message), **scenario.state}
        updates = graph.stream(turn, {"configurable": {"thread_id": scenario.id}}, stream_mode="updates")
        ran = [name for update in updates for name in update]
        manager.flush(30.0)
        tally.by_session.get(scenario.id, []).sort(key=lambda record: ran.index(record.node))
    screen.scenarios(SCENARIOS, tally.by_session)
    tally.keep = False
