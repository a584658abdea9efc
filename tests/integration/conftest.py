"""Servers that the tests of one session share: each is started once, on free ports, and ended at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from real_servers import KEEP_ALL, Collector, Jaeger, Prometheus


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the repository's configuration."""
    server = Prometheus(tmp_path_factory.mktemp("prometheus"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    """A Jaeger with the repository's configuration."""
    server = Jaeger(tmp_path_factory.mktemp("jaeger"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory, prometheus: Prometheus, jaeger: Jaeger) -> Iterator[Collector]:
    """A Collector with the repository's configuration that keeps every trace."""
    server = Collector(tmp_path_factory.mktemp("collector"), prometheus.otlp, jaeger.otlp, KEEP_ALL)
    server.start()
    yield server
    server.stop()
