# The gateway and the simulator, in one image: the simulator is the same image with another entry point.
#
#   docker build -t vibration-gateway .

FROM python:3.12.12-slim-bookworm AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/run.lock requirements/
RUN python -m venv /opt/vibration-gateway \
    && /opt/vibration-gateway/bin/pip install --require-hashes -r requirements/run.lock
COPY pyproject.toml README.md ./
COPY gateway/ gateway/
COPY simulator/ simulator/
# The build backend is in the lock file; with build isolation pip would fetch one that nothing pins.
RUN /opt/vibration-gateway/bin/pip install --no-deps --no-index --no-build-isolation .

FROM python:3.12.12-slim-bookworm
# The owner of a new volume is the owner of the folder that it covers.
RUN useradd --system --uid 990 --home-dir /var/lib/vibration-gateway --create-home vibration-gateway
COPY --from=build /opt/vibration-gateway /opt/vibration-gateway
# What is true of every container of this image, whatever file is mounted as its configuration.
ENV PATH=/opt/vibration-gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    VIBRATION_GATEWAY__GATEWAY__STATE_DIR=/var/lib/vibration-gateway \
    VIBRATION_GATEWAY__HTTP__HOST=0.0.0.0 \
    VIBRATION_GATEWAY__HTTP__PORT=8080
USER vibration-gateway
WORKDIR /var/lib/vibration-gateway
VOLUME /var/lib/vibration-gateway
EXPOSE 8080
# A proxy from the environment is not asked for an address of this container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8080/-/healthy', timeout=4)"]
ENTRYPOINT ["vibration-gateway"]
CMD ["run", "-c", "/etc/vibration-gateway/gateway.toml"]
