"""The proof of a deletion: what was deleted and what was left, signed by the key that the station already knows."""

import json
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.aggregator.config import AggregatorFile
from services.aggregator.store.deletion import Deleted
from services.bus.uplink.signing import sign


def receipt(done: Deleted, done_at: datetime, file: AggregatorFile, key: Ed25519PrivateKey) -> str:
    """A JWS; its payload names the station, when it asked, when it was done, how many records of each kind went, and how many are left."""
    payload = {
        "v": 1,
        "deletion": done.id,
        "network": file.network,
        "station": done.station,
        "requested": done.requested_at.isoformat(timespec="milliseconds"),
        "done": done_at.isoformat(timespec="milliseconds"),
        "deleted": {"records": done.records, "answers": done.answers},
        "left": done.left,
    }
    return sign(json.dumps(payload, separators=(",", ":")).encode(), key, file.key_id).decode()
