"""What the recorder counts for Prometheus."""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import Counter, Gauge

from services.bus.metrics import REGISTRY

COMMITS = Counter("sps_recorder_commits_total", "Commits of readings that reached the disk.", registry=REGISTRY)
_LAG = Gauge(
    "sps_recorder_commit_lag_seconds", "Station seconds from the newest reading on disk until now; NaN before the first.", registry=REGISTRY
)


def follow_lag(now: Callable[[], datetime | None], until: Callable[[], datetime | None]) -> None:
    """Have the lag reckoned whenever it is asked for: from `until`, up to which readings are on disk, to `now`."""

    def lag_s() -> float:
        newest, present = until(), now()
        return float("nan") if newest is None or present is None else max(0.0, (present - newest).total_seconds())

    _LAG.set_function(lag_s)
