"""The file of access: private, whole, shared by the gateway and `sps access`, and closed when damaged."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.gateway.access import passwords, tokens
from services.gateway.access.first_password import first_password
from services.gateway.access.store import AccessState, AccessUnusable, Store
from services.gateway.access.tokens import MOST_TOKENS
from services.gateway.access.visitor import Scope

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def test_it_is_readable_by_its_user_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "gateway")
    store.change(lambda state: state.with_password("hash", own=True))
    assert store.path.stat().st_mode & 0o777 == 0o600


def test_what_another_process_wrote_is_seen_at_once(tmp_path: Path) -> None:
    one, other = Store(tmp_path), Store(tmp_path)
    assert one.current() == AccessState()
    other.change(lambda state: state.with_password("first", own=False))
    assert one.current().password_hash == "first"
    one.change(AccessState.logged_out)
    assert other.current().epoch == 2
    assert other.current().password_hash == "first"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"password_hash": 3}', '{"surprise": 1}', "\x00\x00"])
def test_a_damaged_file_lets_nobody_in_and_says_what_to_do(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path)
    store.path.write_text(text)
    with pytest.raises(AccessUnusable, match="sps access password"):
        store.current()
    with pytest.raises(AccessUnusable):
        store.change(AccessState.logged_out)
    assert store.path.read_text() == text
    store.replace(AccessState(password_hash="new"))
    assert store.current().password_hash == "new"


def test_a_token_is_found_by_its_whole_word_and_kept_only_as_a_hash(tmp_path: Path) -> None:
    word, token = tokens.made("prometheus", ["read"], NOW)
    store = Store(tmp_path)
    store.change(lambda state: state.with_token(token))
    kept = store.current().tokens
    assert tokens.found(word, kept) == token
    for wrong in ("", word[:-1], word + "x", word.upper(), token.digest, f"sps_{token.id}_"):
        assert tokens.found(wrong, kept) is None
    assert word.rsplit("_", 1)[-1] not in store.path.read_text()
    store.change(lambda state: state.without_token(token.id))
    assert tokens.found(word, store.current().tokens) is None
    with pytest.raises(AccessUnusable, match="no token"):
        store.change(lambda state: state.without_token(token.id))


@pytest.mark.parametrize(("name", "scopes"), [("", ["read"]), ("x" * 61, ["read"]), ("<b>", ["read"]), ("ok", [])])
def test_a_token_needs_a_name_and_a_scope(name: str, scopes: list[Scope]) -> None:
    with pytest.raises(ValidationError):
        tokens.made(name, scopes, NOW)


def test_there_is_a_limit_to_tokens() -> None:
    state = AccessState()
    for n in range(MOST_TOKENS):
        state = state.with_token(tokens.made(f"token {n}", ["read"], NOW)[1])
    with pytest.raises(AccessUnusable, match="revoke one first"):
        state.with_token(tokens.made("one more", ["read"], NOW)[1])


def test_the_first_password_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "gateway" / "first-password"
    word = first_password(path)
    assert first_password(path) == word
    assert passwords.complaint(word) is None
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert first_password(tmp_path / "other" / "first-password") != word


def test_a_password_of_setup_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "first-password"
    path.write_text("made by setup\n")
    assert first_password(path) == "made by setup"


def test_passwords_match_themselves_alone() -> None:
    kept = passwords.hashed("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert passwords.matches("correct horse battery", kept)
    assert not passwords.matches("correct horse batterz", kept)
    assert not passwords.matches("anything", "not a hash")
    assert passwords.hashed("correct horse battery") != kept


@pytest.mark.parametrize("password", ["", "short", "aaaaaaaaaaaaaaa", "1212121212121", "x" * 300])
def test_weak_passwords_are_refused_with_what_would_be_right(password: str) -> None:
    assert "use" in (passwords.complaint(password) or "")


def test_root_leaves_the_file_to_the_folders_owner(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        return
    os.chown(tmp_path, 1234, 1234)
    store = Store(tmp_path)
    store.change(AccessState.logged_out)
    assert store.path.stat().st_uid == 1234
