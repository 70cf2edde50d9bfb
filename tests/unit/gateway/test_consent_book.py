"""The person's consents over disks that fail and restarts."""

from datetime import UTC, datetime, timedelta

import pytest

from services.core.config.policy import PreferencesSection
from services.core.preferences import SharingLevel
from services.gateway.aggregator_link import consent_book
from services.gateway.aggregator_link.consent_book import ConsentBook
from services.gateway.sharing import narrower

T0 = datetime(2027, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_choice_survives_a_restart(tmp_path):
    book = ConsentBook(tmp_path)
    book.choose(SharingLevel.FULL, {"full.p4_w": False}, T0)
    again = ConsentBook(tmp_path)
    assert again.life == book.life
    assert again.grants.allows("full.p1_w", T0)
    assert not again.grants.allows("full.p4_w", T0)


def test_on_a_full_disk_nothing_more_is_shared_and_less_at_once(tmp_path, monkeypatch):
    book = ConsentBook(tmp_path)
    book.choose(SharingLevel.HOURLY, {}, T0)

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(consent_book, "write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        book.choose(SharingLevel.FULL, {"hourly.p1_wh": False}, T0 + HOUR)
    assert "full.p1_w" not in book.grants.since
    assert "hourly.p1_wh" not in book.grants.since
    assert "hourly.p2_wh" in book.grants.since
    with pytest.raises(OSError, match="No space"):
        book.choose(SharingLevel.NONE, {}, T0 + 2 * HOUR)
    assert set(book.grants.since) == {"answers.choice"}
    monkeypatch.undo()
    book.choose(SharingLevel.NONE, {}, T0 + 3 * HOUR)
    book.choose(SharingLevel.HOURLY, {}, T0 + 4 * HOUR)
    assert not ConsentBook(tmp_path).grants.allows("hourly.p2_wh", T0 + HOUR), "what was held back stays in the house"


def test_a_file_that_cannot_be_read_counts_as_none(tmp_path):
    (tmp_path / consent_book.FILE).write_text('{"consents": "all of it"}')
    book = ConsentBook(tmp_path)
    assert book.complaint is not None
    assert not book.grants.since


def test_whoever_sends_sees_the_gate_change(tmp_path):
    book = ConsentBook(tmp_path)
    seen = []
    book.on_change(lambda: seen.append(book.gate()))
    book.choose(SharingLevel.FULL, {}, T0)
    book.choose(SharingLevel.FULL, {}, T0)
    assert set(seen) == {1}


def test_after_a_change_that_was_cut_off_what_both_allow_holds(tmp_path):
    book = ConsentBook(tmp_path)
    book.choose(SharingLevel.EVENT, {"event.online": False}, T0)
    agreed = narrower(PreferencesSection(sharing=SharingLevel.FULL, sharing_fields={"full.p1_w": False}), book.life)
    assert agreed.sharing is SharingLevel.EVENT
    assert agreed.sharing_fields == {"full.p1_w": False, "event.online": False}
    untouched = PreferencesSection(sharing=SharingLevel.NONE)
    assert narrower(untouched, ConsentBook(tmp_path / "new").life) == untouched
