"""`python -m services.relay_bridge`: the relay bridge as a process of its own."""

from services.bus.runtime import standalone
from services.relay_bridge.service import run

if __name__ == "__main__":
    standalone("relay_bridge", run)
