"""Why a broker cannot be started, each in one line for a person."""


class BrokerError(RuntimeError):
    """The broker cannot be started."""


class PortInUse(BrokerError):
    """Something else listens there already."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} on {host} is in use; stop what listens there, or set another broker.port or broker.start: false")
