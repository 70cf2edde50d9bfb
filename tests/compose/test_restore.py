"""Backup and restore by the command line in its container, word for word as docs/containers.md has it."""

import json
import sqlite3
import tarfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.compose.stack import SERVICES, Stack
from tests.support.waiting import wait_until

SHOW = """
import json, sqlite3
db = sqlite3.connect("file:/var/lib/sps/recorder/journal.db?mode=ro", uri=True)
print(json.dumps([row[0] for row in db.execute("SELECT ts FROM reading ORDER BY ts")]))
"""


def events(stack: Stack) -> dict[str, str]:
    return {one["id"]: one["status"] for one in stack.page("/api/events")}


def schedule(stack: Stack, event_id: str, start: datetime) -> None:
    stack.publish("event/command", {"action": "schedule", "id": event_id, "start": start.isoformat(), "duration": "PT1H"})
    wait_until(lambda: events(stack).get(event_id) == "scheduled", 30, what=f"{event_id} scheduled")


def readings(stack: Stack) -> list[int]:
    found: list[int] = json.loads(stack.exec("recorder", "python", "-c", SHOW))
    return found


def readings_of(backup: Path, folder: Path) -> list[int]:
    with tarfile.open(backup) as tar:
        tar.extract("state/recorder/journal.db", folder, filter="data")
    with closing(sqlite3.connect(folder / "state/recorder/journal.db")) as db:
        return [row[0] for row in db.execute("SELECT ts FROM reading ORDER BY ts")]


def test_a_backup_while_all_runs_brings_back_the_events_and_the_journal_of_then_and_forgets_no_event_accepted_since(
    stack: Stack, tmp_path: Path
) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    schedule(stack, "before-the-backup", soon)
    wait_until(lambda: readings(stack), 60, what="readings in the journal")
    kept = events(stack)
    password = stack.first_password()

    backup = tmp_path / "station.sps.tar.gz"
    backup.write_bytes(stack.sps("backup", "-"))
    recorded = readings_of(backup, tmp_path)
    assert recorded

    schedule(stack, "after-the-backup", soon + timedelta(hours=4))
    later = wait_until(lambda: set(readings(stack)) - set(recorded), 60, what="readings after the backup")
    stack.compose("stop", "--timeout", "10")
    said = stack.sps("restore", "--yes", "-", given=backup).decode()
    assert "put back:" in said
    assert "controller" in said
    assert "recorder" in said
    stack.compose("up", "--detach")
    for service in ("mosquitto", *SERVICES):
        wait_until(lambda service=service: stack.health(service) == "healthy", 90, what=f"{service} to be healthy")  # type: ignore[misc]

    # What the broker retained since is no part of it: what was accepted is not forgotten.
    wait_until(
        lambda: events(stack) == kept | {"after-the-backup": "scheduled"}, 30, what="the events of the backup, and what was accepted since"
    )
    wait_until(lambda: readings(stack)[-1] > max(later), 60, what="recording going on")
    found = set(readings(stack))
    assert set(recorded) <= found
    assert not later & found
    assert stack.first_password() == password
