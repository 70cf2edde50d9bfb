# The station's images: `make images`, or one of them by `docker build --target controller .`
# A target per service, each with its own dependencies and nothing else; they share base, user and code, so that a board
# holds those once. Everything installed is pinned and hashed in requirements/images/.
ARG BASE_IMAGE=python:3.12-slim

FROM ${BASE_IMAGE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# ---- built here, copied over, and left behind: no pip, no compiler and no cache in what runs

FROM base AS build
WORKDIR /build
RUN python -m venv --without-pip /venv
ENV INSTALL="pip --python /venv/bin/python install --no-cache-dir --no-input"

# What all of them need, so that it is fetched once: the locks agree.
FROM build AS common
COPY requirements/images/home-assistant.txt ./
RUN ${INSTALL} --require-hashes --requirement home-assistant.txt

FROM common AS package
COPY requirements/images/package.txt ./
RUN ${INSTALL} --require-hashes --requirement package.txt
COPY pyproject.toml README.md LICENSE ./
COPY services services
RUN ${INSTALL} --no-deps --no-build-isolation --target /app .

# ---- what all images share

FROM base AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="The Smart Power Station developers" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# State and secrets are volumes: a fresh one takes its owner from the folder that it covers.
RUN groupadd --gid 10001 sps \
    && useradd --uid 10001 --gid sps --no-create-home --home-dir /var/lib/sps --shell /usr/sbin/nologin sps \
    && for service in bluetti_bridge relay_bridge ina260_reader controller recorder gateway home_assistant aggregator simulator operator; do \
         install -d -o sps -g sps -m 0750 "/var/lib/sps/$service"; done \
    && install -d -o sps -g sps -m 0700 /secrets /run/sps
COPY --from=package /app /app
# hadolint ignore=DL3064
ENV PATH="/venv/bin:/app/bin:${PATH}" \
    PYTHONPATH=/app \
    SPS_CONFIG=/etc/sps/station.yaml \
    SPS_VAR=/var/lib/sps \
    SPS_SECRETS=/secrets \
    SPS_ALIVE=/run/sps
WORKDIR /var/lib/sps
USER 10001:10001

# ---- one service each

FROM common AS bluetti-bridge-dependencies
COPY requirements/images/bluetti-bridge.txt ./
RUN ${INSTALL} --require-hashes --requirement bluetti-bridge.txt

FROM runtime AS bluetti-bridge
LABEL org.opencontainers.image.title="Smart Power Station: Power station over Bluetooth"
COPY --from=bluetti-bridge-dependencies /venv /venv
CMD ["python", "-m", "services.bluetti_bridge"]

FROM common AS relay-bridge-dependencies
COPY requirements/images/relay-bridge.txt ./
RUN ${INSTALL} --require-hashes --requirement relay-bridge.txt

FROM runtime AS relay-bridge
LABEL org.opencontainers.image.title="Smart Power Station: Shelly relays"
COPY --from=relay-bridge-dependencies /venv /venv
CMD ["python", "-m", "services.relay_bridge"]

FROM common AS relay-bridge-kasa-dependencies
COPY requirements/images/relay-bridge-kasa.txt ./
RUN ${INSTALL} --require-hashes --requirement relay-bridge-kasa.txt

FROM runtime AS relay-bridge-kasa
# python-kasa is GPL-3.0-or-later, and so is this image as a whole: an image of its own.
LABEL org.opencontainers.image.title="Smart Power Station: Shelly and Kasa relays" \
      org.opencontainers.image.licenses="GPL-3.0-or-later"
COPY --from=relay-bridge-kasa-dependencies /venv /venv
CMD ["python", "-m", "services.relay_bridge"]

FROM common AS ina260-reader-dependencies
COPY requirements/images/ina260-reader.txt ./
RUN ${INSTALL} --require-hashes --requirement ina260-reader.txt

FROM runtime AS ina260-reader
LABEL org.opencontainers.image.title="Smart Power Station: INA260 sensor"
COPY --from=ina260-reader-dependencies /venv /venv
CMD ["python", "-m", "services.ina260_reader"]

FROM common AS controller-dependencies
COPY requirements/images/controller.txt ./
RUN ${INSTALL} --require-hashes --requirement controller.txt

FROM runtime AS controller
LABEL org.opencontainers.image.title="Smart Power Station: Controller"
COPY --from=controller-dependencies /venv /venv
CMD ["python", "-m", "services.controller"]

FROM common AS recorder-dependencies
COPY requirements/images/recorder.txt ./
RUN ${INSTALL} --require-hashes --requirement recorder.txt

FROM runtime AS recorder
LABEL org.opencontainers.image.title="Smart Power Station: Journal, figures and their query API"
COPY --from=recorder-dependencies /venv /venv
CMD ["python", "-m", "services.recorder"]

FROM common AS gateway-dependencies
COPY requirements/images/gateway.txt ./
RUN ${INSTALL} --require-hashes --requirement gateway.txt

FROM runtime AS gateway
LABEL org.opencontainers.image.title="Smart Power Station: Page and REST API"
COPY --from=gateway-dependencies /venv /venv
CMD ["python", "-m", "services.gateway"]

FROM runtime AS home-assistant
LABEL org.opencontainers.image.title="Smart Power Station: Home Assistant discovery"
COPY --from=common /venv /venv
CMD ["python", "-m", "services.home_assistant"]

FROM common AS aggregator-dependencies
COPY requirements/images/aggregator.txt ./
RUN ${INSTALL} --require-hashes --requirement aggregator.txt

FROM runtime AS aggregator
LABEL org.opencontainers.image.title="Smart Power Station: Reference aggregator"
COPY --from=aggregator-dependencies /venv /venv
# Volumes that its broker, in a container beside it, sees too.
USER 0:0
RUN install -d -o sps -g sps -m 0700 /secrets/aggregator /secrets/aggregator/mosquitto /var/lib/sps/aggregator/broker
USER 10001:10001
# hadolint ignore=DL3064
ENV SPS_AGGREGATOR_CONFIG=/etc/sps/aggregator.yaml
CMD ["python", "-m", "services.aggregator"]

FROM common AS simulator-dependencies
COPY requirements/images/simulator.txt ./
RUN ${INSTALL} --require-hashes --requirement simulator.txt

FROM runtime AS simulator
LABEL org.opencontainers.image.title="Smart Power Station: Simulated house"
COPY --from=simulator-dependencies /venv /venv
CMD ["python", "-m", "services.simulator", "--speed", "1"]

FROM common AS setup-dependencies
COPY requirements/images/setup.txt ./
RUN ${INSTALL} --require-hashes --requirement setup.txt

FROM runtime AS setup
LABEL org.opencontainers.image.title="Smart Power Station: Setup, and the sps command"
COPY --from=setup-dependencies /venv /venv
ENTRYPOINT ["sps"]
CMD ["--help"]
