"""What the aggregator counts for Prometheus."""

from collections.abc import Callable

from prometheus_client import Counter, Gauge

from services.bus.metrics import REGISTRY
from services.bus.uplink.batches import BatchAccepted, Kind

EVENTS = Counter(
    "sps_aggregator_events_sent_total", "Events that the broker took, amendments and cancellations among them.", registry=REGISTRY
)
ANSWERS = Counter("sps_aggregator_answers_total", "Answers of stations that are on disk.", registry=REGISTRY)
_BATCHES = Counter(
    "sps_aggregator_batches_total", "Batches that are on disk: new, or there already.", ["kind", "outcome"], registry=REGISTRY
)
_RECORDS = Counter("sps_aggregator_records_total", "Records in new batches.", ["kind"], registry=REGISTRY)
_REFUSED = Counter(
    "sps_aggregator_requests_refused_total", "Requests to the stations' API that were refused.", ["status"], registry=REGISTRY
)
_CONNECTED = Gauge("sps_aggregator_broker_connected", "Whether the broker is connected: 1 or 0.", registry=REGISTRY)
_ONLINE = Gauge("sps_aggregator_stations_online", "Stations that say they are online, as heard over this connection.", registry=REGISTRY)


def counted(kind: Kind, accepted: BatchAccepted) -> BatchAccepted:
    """`accepted`, the answer to a batch, which is counted."""
    _BATCHES.labels(kind, "duplicate" if accepted.duplicate else "new").inc()
    if not accepted.duplicate:
        _RECORDS.labels(kind).inc(accepted.accepted)
    return accepted


def refused(status: int) -> None:
    """Count a request that was refused."""
    _REFUSED.labels(str(status)).inc()


def follow(connected: Callable[[], bool], online: Callable[[], int]) -> None:
    """Ask these whenever the meters are read."""
    _CONNECTED.set_function(lambda: float(connected()))
    _ONLINE.set_function(lambda: float(online()))
