"""What the controller counts for Prometheus."""

from typing import Literal, get_args

from prometheus_client import Counter, Gauge

from services.bus.metrics import REGISTRY

_Phase = Literal["normal", "upcoming", "ongoing"]
_DECISIONS = Counter("sps_controller_decisions_total", "Decisions made.", registry=REGISTRY)
_PHASE = Gauge("sps_controller_phase", "The phase that holds: 1, the others 0.", ["phase"], registry=REGISTRY)
_MODE = Gauge("sps_controller_mode", "The mode commanded, 0 to 5.", registry=REGISTRY)
_PHASES = {phase: _PHASE.labels(phase) for phase in get_args(_Phase)}


def decided(phase: str, mode: int) -> None:
    """Count a decision, and what it came to."""
    _DECISIONS.inc()
    _MODE.set(mode)
    for name, gauge in _PHASES.items():
        gauge.set(name == phase)
