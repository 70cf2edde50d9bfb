"""`python -m tests.benchmarks.misbehaving`: servers that misbehave, and what became of the rows: sent, received, stored, stored twice.

The same rig and the same servers as in `tests/system/test_aggregator_upload.py`.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from services.core.preferences import SharingLevel
from services.core.sharing_fields import FIELDS
from services.gateway.aggregator_link import uploading
from tests.support.misbehaving import MISBEHAVIOURS, Aggregator
from tests.support.uploads import Rig, fill, query_api

ROWS = 450
NEVER_STORED = ("400", "422")


@contextlib.contextmanager
def short_waits() -> Iterator[None]:
    """Between attempts, for this run."""
    before = uploading.FIRST_WAIT_S, uploading.LONGEST_WAIT_S, uploading.IDLE_S
    uploading.FIRST_WAIT_S, uploading.LONGEST_WAIT_S, uploading.IDLE_S = 0.05, 0.2, 0.2
    try:
        yield
    finally:
        uploading.FIRST_WAIT_S, uploading.LONGEST_WAIT_S, uploading.IDLE_S = before


async def case(behaviour: str) -> tuple[str, ...]:
    """One line of the table: the server misbehaves at the second batch and at the fourth and fifth."""
    with tempfile.TemporaryDirectory(prefix="sps-") as name:
        folder = Path(name)
        server = Aggregator()
        async with query_api(fill(folder, ROWS)) as recorder:
            rig = Rig(folder, recorder, server)
            server.script = ["good", "good", behaviour, "good", behaviour, behaviour]
            rig.share(SharingLevel.FULL, {one.name: False for one in FIELDS if one.name.startswith("hourly.")}, past=True)
            async with rig.running() as uploader:
                await rig.until_idle(uploader, 60)
            entries = [entry for entry in rig.sent.page(None, 200) if entry.kind == "full"]
            rig.sent.close()
        stored = Counter(record["ts"] for record in server.records("full"))
        set_aside = sum(entry.records for entry in entries if entry.outcome.startswith("refused"))
        server.close()
        sent = sum(entry.records * entry.attempts for entry in entries)
        doubled = sum(times - 1 for times in stored.values())
        figures = (ROWS, sent, server.received_records, len(stored), doubled, set_aside, ROWS - len(stored) - set_aside)
        return (behaviour, *map(str, figures))


def main() -> int:
    """Exit 0 if no row was lost or stored twice."""
    table = Table(box=SIMPLE_HEAD)
    for column in ("the server", "rows", "sent, again counted again", "received whole", "stored", "stored twice", "set aside", "lost"):
        table.add_column(column, justify="left" if column == "the server" else "right")
    lines = []
    with short_waits():
        for behaviour in ("good", *MISBEHAVIOURS, *NEVER_STORED):
            print(behaviour, file=sys.stderr, flush=True)
            lines.append(asyncio.run(case(behaviour)))
            table.add_row(*lines[-1])
    Console(width=140).print(table)
    return 0 if all((line[5], line[7]) == ("0", "0") for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
