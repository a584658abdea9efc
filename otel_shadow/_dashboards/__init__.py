"""Dashboards for Grafana and rules for Prometheus, generated from the names and bounds the runtime exports."""

from __future__ import annotations

from pathlib import Path

from otel_shadow.errors import require


def write_dashboards(out: Path) -> list[Path]:
    """Write the four dashboards (JSON for Grafana's provisioning) and the rules (YAML for Prometheus).

    Arguments:
        out: a folder; it is made if need be, and files of the same names are replaced.

    Returns:
        The files written.

    Raises:
        MissingExtraError: grafanalib or PyYAML is not installed.
    """
    require("grafanalib", "dashboards")
    require("yaml", "dashboards")
    written = []
    for name, text in _files().items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _files() -> dict[str, str]:
    from otel_shadow._dashboards import health, live, pairs, rules, sla
    from otel_shadow._dashboards.boards import as_json

    boards = {board.UID: board.dashboard() for board in (sla, pairs, live, health)}
    files = {f"grafana/{uid}.json": as_json(dashboard) for uid, dashboard in boards.items()}
    files["rules/recording.yaml"] = rules.as_yaml(rules.recording_rules())
    files["rules/alerts.yaml"] = rules.as_yaml(rules.alerting_rules())
    return files
