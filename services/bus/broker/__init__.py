"""The broker that `sps run` starts: Mosquitto when it is installed, else one embedded in this process."""

from services.bus.broker.choose import start_broker
from services.bus.broker.errors import BrokerError, PortInUse

__all__ = ["BrokerError", "PortInUse", "start_broker"]
