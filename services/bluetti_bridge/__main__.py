"""`python -m services.bluetti_bridge`: the power station's bridge as a process of its own."""

from services.bluetti_bridge.service import run
from services.bus.runtime import standalone

if __name__ == "__main__":
    standalone("bluetti_bridge", run)
