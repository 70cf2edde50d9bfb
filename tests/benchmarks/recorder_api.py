"""The recorder's query API over a journal, as a process of its own. Argument: the journal. Prints its port."""

import asyncio
import sys
from pathlib import Path

from services.bus import web
from services.bus.clock import SystemClock
from services.core.config.station import Endpoint
from services.recorder.api import create_app
from services.recorder.history import History
from tests.support.ports import free_port


def main(path: str) -> None:
    """Serve until killed."""
    app = create_app(
        History(Path(path)),
        SystemClock(),
        max_gap_s=lambda: 50,
        account=lambda _: None,
        committed_until=lambda: None,
        settled_ms=lambda: 0,
    )
    endpoint = Endpoint(port=free_port())
    listener = web.listen(endpoint)
    print(endpoint.port, flush=True)
    asyncio.run(web.serve(app, listener))


if __name__ == "__main__":
    main(sys.argv[1])
