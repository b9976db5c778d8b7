# The bridge and nothing else: no compiler, no test tools, no root.
ARG PYTHON=3.11-slim

FROM python:${PYTHON} AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.9 /uv /usr/local/bin/uv
WORKDIR /src
COPY pyproject.toml README.md requirements.lock ./
COPY bridge bridge
# The lock also holds what tests need: as constraints, it gives versions and hashes to what the bridge itself needs.
RUN uv venv --no-project /opt/bridge \
    && uv pip install --no-cache --compile-bytecode --python /opt/bridge/bin/python \
       --constraints requirements.lock --build-constraints requirements.lock .

FROM python:${PYTHON}
RUN useradd --system --uid 10001 --home-dir /var/lib/bridge --create-home --shell /usr/sbin/nologin bridge
COPY --from=build /opt/bridge /opt/bridge
ENV PATH=/opt/bridge/bin:$PATH PYTHONUNBUFFERED=1 HOME=/var/lib/bridge BRIDGE_CONFIG=/etc/bridge/bridge.yaml
USER 10001:10001
WORKDIR /var/lib/bridge
EXPOSE 8470
# With the store in a file: sqlite:////var/lib/bridge/bridge.db.
VOLUME /var/lib/bridge
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as ask; ask.urlopen('http://127.0.0.1:8470/livez', timeout=3)"]
ENTRYPOINT ["bridge"]
CMD ["run"]
