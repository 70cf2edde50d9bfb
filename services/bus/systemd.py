"""What a process tells systemd, where systemd started it: that it runs, how it is, and that it does not hang."""

import logging
import socket

log = logging.getLogger(__name__)


class Systemd:
    """Notifications for a process that may hold several services: one that hangs silences the watchdog for all."""

    def __init__(self, address: str | None) -> None:
        """`address` is `$NOTIFY_SOCKET`; None where nobody listens."""
        self._address = "\0" + address[1:] if address is not None and address.startswith("@") else address
        self._running: dict[str, bool] = {}
        self._status: str | None = None
        self._ready = False

    def beat(self, service: str, *, running: bool, status: str) -> None:
        """Tell that the loop of `service` came round, with all that it watches `running` or not.

        A broker that is away goes into the status and nothing more: to be started again would not bring it back.
        """
        self._running[service] = running
        lines = [] if self._ready else ["READY=1"]
        if all(self._running.values()):
            lines.append("WATCHDOG=1")
        if status != self._status:
            lines.append(f"STATUS={status}")
        self._ready, self._status = True, status
        self._send("\n".join(lines))

    def gone(self, service: str) -> None:
        """`service` ended: whoever starts it again answers for it."""
        self._running.pop(service, None)

    def _send(self, text: str) -> None:
        if self._address is None or not text:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto(text.encode(), self._address)
        except OSError as error:
            log.debug("systemd does not listen at %s: %s", self._address, error)
