"""The configuration that users mount: judged by each server's own validator, and consistent between its files."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from real_servers import ROOT, binary

from otel_shadow import semconv
from otel_shadow._dashboards.series_names import label, series

COLLECTOR = ROOT / "collector"


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    everything = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), **env}
    arguments = [str(part) for part in command]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT, env=everything)


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def variables(file: str) -> set[str]:
    return set(re.findall(r"\$\{env:([A-Z_]+)", (COLLECTOR / file).read_text()))


@pytest.mark.servers
@pytest.mark.parametrize(("server", "file"), [("collector", "config.yaml"), ("jaeger", "jaeger.yaml")])
def test_collector_and_jaeger_accept_their_configuration(server: str, file: str) -> None:
    """`validate` has no complaint, with the defaults alone."""
    done = run(binary(server, server), "validate", "--config", COLLECTOR / file)
    assert done.returncode == 0, done.stderr


@pytest.mark.servers
def test_a_wrong_collector_configuration_is_refused(tmp_path: Path) -> None:
    """The validator can say no: a misspelt setting does not pass (conditions are compiled only at the start)."""
    broken = (COLLECTOR / "config.yaml").read_text().replace("decision_wait:", "decision_wayt:")
    (tmp_path / "config.yaml").write_text(broken)
    assert run(binary("collector", "collector"), "validate", "--config", tmp_path / "config.yaml").returncode != 0


@pytest.mark.servers
def test_prometheus_accepts_its_configuration() -> None:
    """`promtool check config` has no complaint."""
    done = run(binary("prometheus", "promtool"), "check", "config", COLLECTOR / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.servers
def test_compose_file_is_valid() -> None:
    """The Compose Specification's own loader takes the file, and what services refer to is there."""
    done = run(binary("compose", "cmd"), ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    model = yaml.safe_load(done.stdout)
    for name, service in model["services"].items():
        assert set(service.get("depends_on", ())) <= set(model["services"]), name
        named = {volume["source"] for volume in service.get("volumes", ()) if volume["type"] == "volume"}
        assert named <= set(model["volumes"]), name


@pytest.mark.servers
def test_a_wrong_compose_file_is_refused(tmp_path: Path) -> None:
    """The loader can say no: a misspelt key does not pass."""
    broken = tmp_path / "docker-compose.yml"
    broken.write_text((ROOT / "docker-compose.yml").read_text().replace("healthcheck:", "healthchek:"))
    assert run(binary("compose", "cmd"), broken).returncode != 0


def test_nothing_listens_beyond_loopback() -> None:
    """Every published port is bound to 127.0.0.1, and so is every default of the Collector and Jaeger."""
    ports = [port for service in compose()["services"].values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    for file in ("config.yaml", "jaeger.yaml"):
        defaults = re.findall(r"endpoint: \$\{env:[A-Z_]+:-([^}]+)\}", (COLLECTOR / file).read_text())
        assert defaults
        assert [found for found in defaults if not re.match(r"(http://)?127\.0\.0\.1:", found)] == []


def test_images_are_pinned_and_nobody_has_a_password() -> None:
    """Every image has a full version; no variable holds a password, and Grafana makes no administrator."""
    services = compose()["services"]
    for name, service in services.items():
        image = service["image"]
        assert image == "otel-shadow:local" or re.search(r":v?\d+\.\d+\.\d+$", image), name
    everything = {key for service in services.values() for key in service.get("environment", {})}
    assert not [key for key in everything if "PASSWORD" in key or "SECRET" in key]
    assert services["grafana"]["environment"]["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def test_versions_are_those_the_tests_run() -> None:
    """Collector, Prometheus and Jaeger of the compose file are the ones built from the manifests."""
    services = compose()["services"]
    builder = yaml.safe_load((ROOT / "servers" / "collector" / "builder.yaml").read_text())
    prometheus = re.search(
        r"prometheus/prometheus v0\.3(\d\d)\.(\d+)", (ROOT / "servers/prometheus/go.mod").read_text()
    )
    assert prometheus is not None
    assert services["collector"]["image"].endswith(f":{builder['dist']['version']}")
    major_minor = f"v3.{int(prometheus[1])}.{prometheus[2]}"  # module v0.315.0 is the release v3.15.0
    assert services["prometheus"]["image"].endswith(f":{major_minor}")


def test_environment_of_the_containers_is_read_by_their_configuration() -> None:
    """No variable is set in the compose file that its server's configuration doesn't know."""
    services = compose()["services"]
    assert set(services["collector"]["environment"]) <= variables("config.yaml")
    assert set(services["jaeger"]["environment"]) <= variables("jaeger.yaml")


def test_mounted_files_exist() -> None:
    """Every file and folder that the compose file mounts from the repository is there."""
    mounts = [volume for service in compose()["services"].values() for volume in service.get("volumes", ())]
    files = [ROOT / mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert files
    assert [file for file in files if not file.exists()] == []


def test_hosts_and_data_sources_agree() -> None:
    """Grafana's data sources and the Collector's exporters name services of the compose file, by their ports."""
    text = (COLLECTOR / "grafana/provisioning/datasources/otel-shadow.yaml").read_text()
    sources = {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}
    tempo = yaml.safe_load((COLLECTOR / "tempo.yaml").read_text())
    environment = compose()["services"]["collector"]["environment"]
    assert sources["prometheus"]["url"] == "http://prometheus:9090"
    assert sources["tempo"]["url"] == f"http://tempo:{tempo['server']['http_listen_port']}"
    receiver = tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert environment["TEMPO_OTLP_ENDPOINT"].rpartition(":")[2] == receiver.rpartition(":")[2]
    jaeger = compose()["services"]["jaeger"]["environment"]["JAEGER_GRPC_ENDPOINT"]
    assert environment["JAEGER_OTLP_ENDPOINT"].rpartition(":")[2] == jaeger.rpartition(":")[2]


def test_names_in_the_configuration_are_ours() -> None:
    """Every attribute of the Collector's policies and of Grafana's links exists in semconv, scope included."""
    names = {value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)}
    collector = (COLLECTOR / "config.yaml").read_text()
    used = set(re.findall(r'span\.attributes\["([^"]+)"\]', collector))
    assert used
    assert used <= names
    assert f'instrumentation_scope.name != "{semconv.SCOPE}"' in collector
    links = (COLLECTOR / "grafana/provisioning/datasources/otel-shadow.yaml").read_text()
    assert set(re.findall(r"key: (\S+)", links)) <= names
    known = {label(name) for name in names} | {series(metric) for metric in semconv.METRICS}
    assert set(re.findall(r"\bshadow_[a-z_]+", links)) <= known


@pytest.mark.servers
def test_the_gateway_tier_is_valid_but_for_its_one_exporter(tmp_path: Path) -> None:
    """With the load balancer (not in our build) replaced by what it wraps, the real Collector accepts the file."""
    gateway = yaml.safe_load((COLLECTOR / "gateway.yaml").read_text())
    balancer = gateway["exporters"].pop("loadbalancing")
    assert set(balancer) == {"routing_key", "protocol", "resolver"}
    assert balancer["routing_key"] == "traceID"
    gateway["exporters"]["otlp_grpc/balanced"] = {"endpoint": "127.0.0.1:4317", **balancer["protocol"]["otlp"]}
    gateway["service"]["pipelines"]["traces"]["exporters"] = ["otlp_grpc/balanced"]
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(gateway))
    done = run(binary("collector", "collector"), "validate", "--config", tmp_path / "gateway.yaml")
    assert done.returncode == 0, done.stderr


def test_every_variable_of_the_collector_is_documented_with_its_default() -> None:
    """docs/pipeline.md has a row for each `${env:NAME:-default}` of the Collector's configuration."""
    text = (COLLECTOR / "config.yaml").read_text()
    documented = (ROOT / "docs" / "pipeline.md").read_text()
    for name, default in set(re.findall(r"\$\{env:([A-Z_]+):-([^}]+)\}", text)):
        assert f"| `{name}` | `{default}` |" in documented, name


def test_the_documented_waits_follow_their_formula() -> None:
    """The default waits are longer than queue wait + V2's time limit + the span batch delay, as the page says."""
    text = (COLLECTOR / "config.yaml").read_text()
    after_root, longest = (int(found[1]) for found in re.finditer(r"COLLECTOR_WAIT(?:_AFTER_ROOT)?:-(\d+)s", text))
    queue_s, limit_s, batch_s = 5, 5, 5
    assert after_root > queue_s + limit_s + batch_s
    assert longest >= after_root + 60
