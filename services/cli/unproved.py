"""What a real station still has to prove before its first event."""

from pathlib import Path

from services.core.config.station import Station
from services.core.modes import AtsPriority
from services.core.positions import Position
from services.relay_bridge.verify import is_proved, load_proofs


def unproved(station: Station, var: Path) -> list[str]:
    """What to type, and why, one line each; nothing for a simulated station. Raises OSError if the proofs cannot be read."""
    if station.clock == "simulated":
        return []
    proofs = load_proofs(var / "relay_bridge")
    lines = [
        f"sps relay verify-deadman {name}: nobody has seen yet that {name} ({device.address}) flips back by itself"
        for name, device in station.positions.relays().items()
        if device.deadman == "device" and not is_proved(proofs, name, device, safe_on=station.board.safe(Position(name)))
    ]
    if station.transfer_switch.priority is AtsPriority.UNKNOWN and not station.positions.p1_inside:
        lines.append("sps ats test: the transfer switch's priority is unknown, and events are refused")
    return lines
