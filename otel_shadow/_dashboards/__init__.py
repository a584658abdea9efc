"""Dashboards for Grafana and rules for Prometheus, generated from the names and bounds the runtime exports."""

from __future__ import annotations

import json
from pathlib import Path

from otel_shadow.errors import require


def write_dashboards(out: Path, metric_names: str = "otlp", histograms: str | None = None) -> list[Path]:
    """Write the four dashboards (JSON for Grafana's provisioning) and the rules (YAML for Prometheus).

    Arguments:
        out: the folder, which is made if need be; files of the same names are replaced.
        metric_names: the form of the names in your Prometheus, a key of ``name_forms.FORMS``.
        histograms: ``native`` or ``classic``, if other than those of the form.

    Returns:
        The files. A MissingExtraError says that grafanalib or PyYAML is not installed.
    """
    require("grafanalib", "dashboards")
    require("yaml", "dashboards")
    written = []
    for name, text in _files(metric_names, histograms).items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _files(metric_names: str, histograms: str | None) -> dict[str, str]:
    from otel_shadow._dashboards import board_health, board_live, board_pairs, board_sla, rules
    from otel_shadow._dashboards.dashboard import as_json, without_row
    from otel_shadow._dashboards.name_forms import form_of

    form = form_of(metric_names, histograms)
    boards = [json.loads(as_json(module.BOARD)) for module in (board_sla, board_pairs, board_live, board_health)]
    if form.scraped:
        boards = [without_row(board, board_health.COLLECTOR) for board in boards]
    header = rules.header(metric_names, histograms, form.strategy)
    return {
        **{f"grafana/{board['uid']}.json": as_json(form.document(board)) for board in boards},
        "rules/recording.yaml": header + rules.as_yaml(form.document(rules.recording())),
        "rules/alerts.yaml": header + rules.as_yaml(form.document(rules.alerts())),
    }
