"""What a process counts of itself, for Prometheus: one registry a process, so that under `sps run` all services share it.

Names are `sps_<part>_<what>_<unit>`; which service it is stands in the label `service`. No label takes its values from outside.
Each service adds its own in its `metrics.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, ProcessCollector, Summary, generate_latest, start_http_server
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.bus.deployment import Deployment
from services.core.config.load import ConfigError, Problem

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
Info("sps_build", "What runs here.", registry=REGISTRY).info({"version": version("smart-power-station")})

_RECEIVED = Counter("sps_bus_messages_received_total", "Messages heard on subscribed topics.", ["service"], registry=REGISTRY)
_SENT = Counter("sps_bus_messages_sent_total", "Messages handed to the connection.", ["service"], registry=REGISTRY)
_REFUSED = Counter(
    "sps_bus_messages_refused_total", "Messages that were dropped, and reported, for what they say.", ["service"], registry=REGISTRY
)
_RECONNECTS = Counter("sps_bus_reconnects_total", "Connections to the broker after the first.", ["service"], registry=REGISTRY)
_CONNECTED = Gauge("sps_bus_connected", "Whether the broker is connected: 1 or 0.", ["service"], registry=REGISTRY)
_HANDLER_SECONDS = Summary("sps_bus_handler_seconds", "Real seconds in the handlers of one message.", ["service"], registry=REGISTRY)


class BusMeters:
    """The meters of one service's place on the bus, looked up once."""

    def __init__(self, service: str) -> None:
        self.received = _RECEIVED.labels(service)
        self.sent = _SENT.labels(service)
        self.refused = _REFUSED.labels(service)
        self.handler_seconds = _HANDLER_SECONDS.labels(service)
        self._reconnects = _RECONNECTS.labels(service)
        self._connected = _CONNECTED.labels(service)
        self._before = False

    def opened(self) -> None:
        """The broker has accepted us, once more or for the first time."""
        if self._before:
            self._reconnects.inc()
        self._before = True

    def follow(self, connected: Callable[[], bool]) -> None:
        """Ask `connected` from now on whether the broker has accepted us."""
        self._connected.set_function(lambda: float(connected()))


def exposition() -> bytes:
    """All meters of this process as Prometheus reads them."""
    return generate_latest(REGISTRY)


@contextmanager
def served(deployment: Deployment) -> Iterator[None]:
    """Answer Prometheus at `SPS_METRICS_HOST` and `SPS_METRICS_PORT`, if a port is asked for. Raises ConfigError if it is taken."""
    port = deployment.metrics_port
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, deployment.metrics_host, registry=REGISTRY)
    except OSError as error:
        remedy = f"cannot be listened on at {deployment.metrics_host}: {error.strerror}; choose another port, or leave it out"
        raise ConfigError([Problem(None, "environment variable SPS_METRICS_PORT", repr(str(port)), remedy)]) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
