"""Dashboards for Grafana and rules for Prometheus, generated from the names and bounds the runtime exports."""

from __future__ import annotations

from pathlib import Path

from otel_shadow.errors import require


def write_dashboards(out: Path) -> list[Path]:
    """Write the four dashboards (JSON for Grafana's provisioning) and the rules (YAML for Prometheus).

    The files are returned. The folder ``out`` is made if need be, and files of the same names are replaced. A
    MissingExtraError says that grafanalib or PyYAML is not installed.
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
    from otel_shadow._dashboards import board_health, board_live, board_pairs, board_sla, rules
    from otel_shadow._dashboards.dashboard import as_json

    boards = [module.BOARD for module in (board_sla, board_pairs, board_live, board_health)]
    return {
        **{f"grafana/{board.uid}.json": as_json(board) for board in boards},
        "rules/recording.yaml": rules.recording_yaml(),
        "rules/alerts.yaml": rules.alerts_yaml(),
    }
