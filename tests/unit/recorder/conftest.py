from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.core.config.load import parse_station
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal

SHIPPED = Path(__file__).parents[3] / "config" / "station.yaml"


@pytest.fixture
def station():
    return parse_station(SHIPPED.read_text(encoding="utf-8"))


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / FILE_NAME)
    yield opened
    opened.close()


@pytest.fixture
def history(journal):
    return History(journal.path)


@pytest.fixture
def fill(journal):
    """Writes a row each minute: `fill("2026-07-01T12:00", 90, lambda i: {"p1_w": 5.0})`."""

    def write(start, minutes, values):
        begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
        journal.append_rows((begin + timedelta(minutes=i), values(i)) for i in range(minutes))

    return write
