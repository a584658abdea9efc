# The demo and the command line, for docker-compose.yml. Your application needs no image of ours: pip install otel-shadow.
FROM python:3.13.1-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY otel_shadow otel_shadow
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir '.[demo,dashboards]'

FROM python:3.13.1-slim-bookworm
# 10001 is the user of the Collector's and Tempo's images; an empty volume takes its owner from the folder here.
RUN useradd --uid 10001 --create-home shadow && install -d -o shadow -g shadow /evidence /var/tempo
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
USER shadow
WORKDIR /home/shadow
ENTRYPOINT ["otel-shadow"]
CMD ["--help"]
