"""Command line ``otel-shadow``: arguments, streams and exit codes of its commands.

Each command imports what it needs when it runs: ``--help`` is fast, and a missing extra stops only the command that
needs it. Exit codes: 0 done (``verdict``: GO), 1 NO-GO, 2 usage or unreadable input, 3 not enough evidence,
130 interrupted, 141 the process that read the output has closed it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from otel_shadow import semconv
from otel_shadow.errors import ConfigError, ShadowError

EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

METRIC_NAMES = ("otlp", "otlp-without-suffixes", "prometheus", "utf8", "utf8-with-suffixes")
"""The keys of ``_dashboards.name_forms.FORMS``, which is imported only where it is used."""
FILE_IN = click.Path(dir_okay=False, path_type=Path)
FILE_OUT = click.Path(dir_okay=False, path_type=Path)
FOLDER_OUT = click.Path(file_okay=False, path_type=Path)

_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0}
_LONGEST_H = 24 * 31
_LONGEST_WAIT_S = 86_400


def moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """Return ``value``, a time in ISO 8601, as a moment; without an offset it is UTC."""
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time; expected ISO 8601 such as 2025-01-09T10:30:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def span(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """Return the time span that ``value`` says, such as ``48h``, ``2d`` or ``90m``."""
    if value is None:
        return None
    try:
        hours = float(value[:-1]) * _HOURS[value[-1:].lower()]
    except (ValueError, KeyError):
        hours = 0.0
    if not 0 < hours <= _LONGEST_H:
        raise click.BadParameter(f"{value!r} is no span of up to 31 days; expected such as 48h, 2d or 90m")
    return timedelta(hours=hours)


def seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return ``value`` as a number of seconds, from one to a day."""
    if value is None:
        return None
    try:
        found = float(value)
    except ValueError:
        found = 0.0
    if not 1 <= found <= _LONGEST_WAIT_S:  # false for nan, too
        raise click.BadParameter(f"{value!r}: expected a number of seconds from 1 to {_LONGEST_WAIT_S}")
    return found


def trace_link(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Return ``value`` if it is a link to a trace with ``{trace_id}`` once."""
    if value is None or (value.startswith(("http://", "https://")) and value.count("{trace_id}") == 1):
        return value
    raise click.BadParameter(
        f"{value!r}: expected http(s)://… with {{trace_id}} once, such as http://localhost:16686/trace/{{trace_id}}"
    )


class ReaderGoneError(Exception):
    """Error that the output of this command was closed; click and rich would exit with 1 here, which is NO-GO."""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGoneError from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="otel-shadow")
def cli() -> None:
    """Run rewritten LangGraph nodes in shadow, and get an honest GO / NO-GO / WAIT."""


@cli.command(short_help="Judge the evidence: GO, NO-GO or WAIT.")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the tables.")
@click.option("--html", type=FILE_OUT, metavar="FILE", help="Write one self-contained page as well.")
@click.option("--save", type=FILE_OUT, metavar="SUMMARY", help="Save a summary of the evidence, which can be a SOURCE.")
@click.option("--config", type=FILE_IN, metavar="FILE",
              help="shadow.toml with [sla] and [[accept]].  [default: $OTEL_SHADOW_CONFIG, ./shadow.toml]")  # fmt: skip
@click.option("--at", callback=moment, metavar="TIME", help="Judge as of this time (ISO 8601).  [default: now]")
@click.option("--build", metavar="BUILD", help="Judge this V2 build.  [default: the latest in the evidence]")
@click.option("--digest", metavar="DIGEST", help="Judge this configuration.  [default: the latest in the evidence]")
@click.option("--service", metavar="NAME", help="Judge this service.  [default: the one with the most evidence]")
@click.option("--trace-url", callback=trace_link, metavar="URL",
              help="Link trace ids on the page: http://…/{trace_id}.")  # fmt: skip
@click.option("--watch", is_flag=True, help="Judge repeatedly; with OTEL_EXPORTER_OTLP_* also export gauges.")
@click.option("--every", callback=seconds, metavar="SECONDS", help="Time between verdicts.  [default: 30]")
@click.option("--prometheus", metavar="URL",
              help="Show the counts in a Prometheus in place of a verdict from SOURCE...")  # fmt: skip
def verdict(**options: Any) -> int:
    """GO, NO-GO or WAIT from the evidence in SOURCE...

    A SOURCE is a log file (plain or .gz, other lines may be mixed in), a glob, or a summary saved by --save. Run it as
    often as you like: the evidence stays valid.

    Exit code: 0 GO, 1 NO-GO, 2 usage or unreadable input, 3 not enough evidence.
    """
    prometheus, watch, every = (options.pop(name) for name in ("prometheus", "watch", "every"))
    given = {name for name, value in options.items() if value}
    if prometheus is not None:
        _only_with("--prometheus", given, {"config"}, every, watch)
        from otel_shadow._report.prometheus_counts import show_counts

        return show_counts(prometheus, options["config"])
    if not options["sources"]:
        raise click.UsageError("Missing argument 'SOURCE...': a log file, a glob or a saved summary.")
    if watch:
        _only_with("--watch", given, {"sources", "config", "build", "digest", "service"})
        from otel_shadow._report.watch_command import watch as keep_watching

        chosen = {name: options[name] for name in ("build", "digest", "service")}
        return keep_watching(options["sources"], every or 30.0, options["config"], **chosen)
    _only_with("a single verdict", given, given, every)
    if options["trace_url"] and options["html"] is None:
        raise click.UsageError("--trace-url: links stand on the page; name it with --html FILE.")
    from otel_shadow._report.verdict_command import judge

    return judge(**options)


def _only_with(mode: str, given: set[str], allowed: set[str], every: float | None = None, watch: bool = False) -> None:
    """Raise a usage error for options that have no meaning in this mode of ``verdict``."""
    extra = sorted(given - allowed) + ["every"] * bool(every) + ["watch"] * watch
    if extra:
        names = ", ".join(
            "SOURCE..." if name == "sources" else f"--{name.removeprefix('as_').replace('_', '-')}" for name in extra
        )
        raise click.UsageError(f"{names}: not together with {mode}.")


@cli.command(short_help="Play conversations with the shadow on, and judge them.")
@click.option("--conversations", type=FILE_IN, metavar="FILE", help="JSONL of utterances or dialogues to play.")
@click.option("--graph", metavar="MODULE:ATTR", help="Your own graph instead of the bundled enrolment assistant.")
@click.option("--config", type=FILE_IN, metavar="FILE",
              help="shadow.toml of the run.  [default: the assistant's; with --graph as for verdict]")  # fmt: skip
@click.option("--out", type=FOLDER_OUT, default=Path("otel-shadow-demo"), show_default=True, metavar="DIR",
              help="Where app.log and report.html go.")  # fmt: skip
@click.option("--simulate-window", callback=span, metavar="48h",
              help="Spread the sessions over a simulated window with day and night; every output says so.")  # fmt: skip
@click.option("--show-values", is_flag=True, help="Show differing values, on this terminal only.")
@click.option("--lang", type=click.Choice(["pt", "en"]), default=None, help="Only conversations in this language.")
@click.option("--seed", type=click.IntRange(min=0), metavar="INTEGER", default=7, show_default=True,
              help="Seed of the random numbers, from 0 on.")  # fmt: skip
def demo(**options: Any) -> int:
    """Play conversations through a workflow with its shadow on: spans, log lines, a verdict and a page."""
    from otel_shadow._demo.demo_command import run_demo

    return int(run_demo(**options) or 0)


@cli.command(short_help="Check a set-up, or draft a shadow.toml.")
@click.argument("graph", required=False, metavar="[MODULE:GRAPH]")
@click.option("--config", type=FILE_IN, metavar="FILE",
              help="shadow.toml to check, or to write.  [default: $OTEL_SHADOW_CONFIG, ./shadow.toml]")  # fmt: skip
@click.option("--write", is_flag=True, help="Draft a commented shadow.toml for the graph instead; none is overwritten.")
@click.option(
    "--verify-key",
    is_flag=True,
    help="Print the key by which the verdict tells lines from forged ones (OTEL_SHADOW_VERIFY_KEY) instead.",
)
@click.option("--collector-config", type=FILE_IN, metavar="FILE",
              help="A Collector's configuration: does its tail sampling wait for V2's time limit?")  # fmt: skip
def doctor(graph: str | None, config: Path | None, write: bool, verify_key: bool, collector_config: Path | None) -> int:
    """Check configuration, flags, V2 imports and signatures, the log, the hash key and the collector.

    Exit code: 0 no problem, 1 problems found, 2 usage.
    """
    try:
        from otel_shadow._doctor.doctor_command import diagnose, print_verify_key
    except ValueError as error:  # so does OpenTelemetry end in the application, too
        if not str(error).startswith("Propagator"):
            raise
        raise ConfigError([f"OTEL_PROPAGATORS: {error} The application can't import OpenTelemetry with it"]) from None

    return print_verify_key() if verify_key else diagnose(graph, config, write, collector_config)


@cli.command(short_help="Write Grafana dashboards and Prometheus rules.")
@click.option("--out", type=FOLDER_OUT, required=True, metavar="DIR", help="Where dashboards and rules go.")
@click.option("--metric-names", default=METRIC_NAMES[0], show_default=True, type=click.Choice(METRIC_NAMES),
              help="How your Prometheus names metrics: otlp (its OTLP endpoint), prometheus (it scrapes the SDK's "
              "Prometheus exporter), utf8 (names with dots, not translated).")  # fmt: skip
@click.option("--histograms", type=click.Choice(["native", "classic"]),
              help="native: exponential, or converted by Prometheus; classic: a series for each bucket.  "
              "[default: classic with prometheus, else native]")  # fmt: skip
def dashboards(out: Path, metric_names: str, histograms: str | None) -> None:
    """Write the Grafana dashboards and the Prometheus rules."""
    from otel_shadow._dashboards import write_dashboards

    for path in write_dashboards(out, metric_names, histograms):
        click.echo(str(path))


# --- calibration -----------------------------------------------------------------------------------------------------


@cli.command(short_help="Propose thresholds and time limits from the evidence.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--labels", type=FILE_IN, metavar="FILE",
              help="Human labels: pair_id, and correct or target.  [default: agreement with V1]")  # fmt: skip
@click.option("--alpha", type=float, default=0.05, show_default=True,
              help="Disagreement (with labels: error) tolerated among decisions not handed to a person.")  # fmt: skip
@click.option("--delta", type=float, default=0.05, show_default=True,
              help="Probability that a threshold is wrong, for each threshold.")  # fmt: skip
@click.option("--out", type=FILE_OUT, metavar="FILE", help="Write the proposal as a TOML file, to be loaded.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the tables.")
@click.option("--html", type=FILE_OUT, metavar="FILE", help="Write one page with risk-coverage plots as well.")
@click.option("--current", type=FILE_IN, metavar="FILE",
              help="Thresholds in force.  [default: template 0.74, llm_rag 0.60, handoff 0.38]")  # fmt: skip
@click.option("--held-out", type=float, default=0.25, show_default=True,
              help="Share of the sessions, the last ones, on which proposals are checked.")  # fmt: skip
@click.option("--start", type=float, default=0.5, show_default=True,
              help="Coverage of the first threshold tested; lower it where the surest half is not good.")  # fmt: skip
@click.option("--build", metavar="BUILD", help="Pairs of this V2 build.  [default: the latest in the evidence]")
@click.option("--strictness", type=(str, float), multiple=True, metavar="ACTION SHARE",
              help="An action's share of alpha.  [default: template 0.25, llm_rag 0.5, handoff 1]")  # fmt: skip
@click.option("--observed", type=(str, str), multiple=True, metavar="QUANTITY FIELD",
              help="Which observed field holds confidence, action, planned, intent, intent_score.")  # fmt: skip
def calibrate(**options: Any) -> int:
    """Propose router thresholds, intent thresholds and V2_TIMEOUT_MS from the pairs in SOURCE...

    A SOURCE is a log file (plain or .gz) or a glob. Nothing that runs is changed: --out writes a file to load.

    Exit code: 0 something is proposed, 2 usage or unreadable input, 3 not enough evidence.
    """
    from otel_shadow._calibration.calibrate_command import run_calibrate

    return run_calibrate(**options)


@cli.command(short_help="Show which intents and routes the evidence covers.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--corpus", type=FILE_IN, metavar="FILE",
              help="JSONL of utterances or dialogues, joined by the keyed hash; read here, sent nowhere.")  # fmt: skip
@click.option("--config", type=FILE_IN, metavar="FILE",
              help="shadow.toml with the declared intents.  [default: $OTEL_SHADOW_CONFIG, ./shadow.toml]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the tables.")
@click.option("--build", metavar="BUILD", help="Pairs of this V2 build.  [default: the latest in the evidence]")
@click.option("--observed", type=(str, str), multiple=True, metavar="QUANTITY FIELD",
              help="Which observed field holds confidence, action, planned, intent, intent_score.")  # fmt: skip
def coverage(**options: Any) -> int:
    """Which intents and routes the pairs in SOURCE... cover, and where V2 is unsure or disagrees.

    With --corpus (and OTEL_SHADOW_HASH_KEY as it was when the log was written) it shows what is missing: unrecognised
    messages in groups, by the words that several people used. No message is printed or written.
    """
    from otel_shadow._calibration.calibrate_command import run_coverage

    return run_coverage(**options)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; what the user can correct is one line, not a traceback."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except (BrokenPipeError, ReaderGoneError):
        # The interpreter flushes stdout once more when it exits: that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_BROKEN_PIPE
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = cli.main(args=arguments, prog_name="otel-shadow", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return EXIT_UNUSABLE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except ConfigError as error:
        return _complain(*error.problems)
    except ShadowError as error:
        return _complain(str(error))
    except (ReaderGoneError, BrokenPipeError):
        raise
    except Exception as error:  # a traceback would exit with 1, which is NO-GO
        if os.environ.get(semconv.ENV_DEBUG):
            raise
        return _complain(
            f"an error of otel-shadow itself: {_told(error)} ({semconv.ENV_DEBUG}=1 shows where); please report it"
        )
    return result if isinstance(result, int) else 0


def _told(error: Exception) -> str:
    from otel_shadow._report.credentials import without_credentials

    return f"{type(error).__name__}: {without_credentials(str(error))[:200]}"


def _complain(*problems: str) -> int:
    for problem in problems:
        one_line = " ".join("".join(sign if sign.isprintable() else " " for sign in problem).split())
        click.echo(f"otel-shadow: {one_line}", err=True)
    return EXIT_UNUSABLE


if __name__ == "__main__":
    main()
