# The gateway, and on top of it the simulator, which the gateway's image has nothing of.
#
#   docker build -t vibration-gateway .
#   docker build -t vibration-simulator --target simulator .

FROM python:3.12.12-slim-bookworm AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/ requirements/
# pip installs into the other environment and stays behind, as does the build backend: a lock file pins it, which build
# isolation would not.
RUN python -m venv --without-pip /opt/vibration-gateway \
    && pip --python /opt/vibration-gateway install --require-hashes -r requirements/run.lock \
    && pip install --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md ./
COPY gateway/ gateway/
COPY simulator/ simulator/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/vibration-gateway install --no-deps --no-index /wheels/*.whl

FROM build AS build-simulator
RUN pip --python /opt/vibration-gateway install --require-hashes -r requirements/demo.lock

FROM python:3.12.12-slim-bookworm AS simulator
COPY --from=build-simulator /opt/vibration-gateway /opt/vibration-gateway
ENV PATH=/opt/vibration-gateway/bin:$PATH PYTHONUNBUFFERED=1
USER nobody
ENTRYPOINT ["vibration-simulator"]

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
