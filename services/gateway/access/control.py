"""Access control as a whole: what the gate and the login page ask."""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.core.config.web import WebPage
from services.gateway.access import passwords, tokens
from services.gateway.access.first_password import first_password, first_password_file
from services.gateway.access.sessions import Sessions
from services.gateway.access.store import AccessState, AccessUnusable, Store
from services.gateway.access.throttle import Throttle
from services.gateway.access.visitor import SCOPES, Visitor
from services.gateway.languages.reason_patterns import N_

MOST_WAITING = 8
"""Passwords that may queue: they are looked at one by one, for each takes memory."""

NO_RECORD = N_("The station has no usable password: sps access password on its machine sets one.")

log = logging.getLogger(__name__)


class Refused(Exception):
    """A login that was not let in; the message is for the person."""

    def __init__(self, text: str, *, wait_s: float = 0.0, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values
        """For `{name}` in the text, so that it can be said in another language."""
        self.wait_s = wait_s
        """Real seconds after which it may be tried again; 0 for at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Whether access is controlled, and where its files lie."""

    on: bool
    web: WebPage
    folder: Path = Path("var/gateway")
    first_password: Path = Path("secrets/gateway/first-password")

    @classmethod
    def of(cls, web: WebPage, var: Path, *, in_container: bool) -> "Settings":
        """Those of the station file and of the place where we run."""
        return cls(in_container or web.asks, web, var / "gateway", first_password_file(var))


OFF = Settings(False, WebPage())


class Control:
    """Passwords, sessions and tokens. Reading is quick; what hashes a password runs in a thread."""

    def __init__(self, settings: Settings, now_s: Callable[[], float], report: Callable[[str], None] = log.error) -> None:
        """`now_s` gives real seconds; `report` tells a person what is wrong with the files."""
        self.settings = settings
        self.store = Store(settings.folder)
        self._sessions = Sessions(now_s)
        self._throttle = Throttle()
        self._now_s = now_s
        self._report = report
        self._turn = asyncio.Lock()
        self._waiting = 0

    @property
    def on(self) -> bool:
        """Whether anybody has to show anything."""
        return self.settings.on

    @property
    def cookie(self) -> str:
        """The name of the session's cookie. `__Host-` has browsers refuse one that was set for a whole domain or without TLS."""
        return "__Host-sps_session" if self.settings.web.behind_tls else "sps_session"

    @property
    def first_password_file(self) -> Path:
        """Where the first password lies, as long as nobody chose another."""
        ours = self.settings.folder / self.settings.first_password.name
        return ours if ours.exists() and not self.settings.first_password.exists() else self.settings.first_password

    async def prepare(self) -> None:
        """Have a password before the first visitor comes: the first one, unless there is one already."""
        if not self.on:
            return
        try:
            if self.store.current().password_hash is None:
                word = self._first_password()
                kept = await asyncio.to_thread(passwords.hashed, word)
                self.store.change(lambda state: state if state.password_hash else state.with_password(kept, own=False))
            if not self.store.current().own_password:
                log.warning("the page's first password lies in %s; change it on the page, under Access", self.first_password_file)
        except (AccessUnusable, OSError) as error:
            self._report(f"no password can be kept: {error}")

    def state(self) -> AccessState | None:
        """What is on disk; None, after telling, when it cannot be used: then nobody is let in."""
        try:
            return self.store.current()
        except (AccessUnusable, OSError) as error:
            self._report(str(error))
            return None

    def by_session(self, session_id: str) -> Visitor | None:
        """The person whose session this is."""
        state = self.state()
        session = self._sessions.use(session_id, state.epoch) if state else None
        return None if session is None else Visitor("person", frozenset(SCOPES), session.csrf_token)

    def by_token(self, word: str) -> Visitor | None:
        """The script whose token this is."""
        state = self.state()
        token = tokens.found(word, state.tokens) if state else None
        return None if token is None else Visitor("script", frozenset(token.scopes))

    async def login(self, password: str, client: str, *, old_session: str = "") -> str:
        """The id of a new session for whoever knows the password. Raises Refused."""
        await self.check(password, client)
        if (state := self.state()) is None:
            raise Refused(NO_RECORD)
        self._sessions.end(old_session)
        log.info("somebody logged in from %s", client)
        return self._sessions.begin(state.epoch)

    async def check(self, password: str, client: str) -> None:
        """Return if `password` is right. Raises Refused; each wrong one makes the next wait longer."""
        self._refuse_waiting(client)
        if self._waiting >= MOST_WAITING:
            raise Refused(N_("Too many passwords are being looked at: try again in a few seconds."), wait_s=5.0)
        self._waiting += 1
        try:
            async with self._turn:
                # Others may have failed while this one stood in the queue.
                self._refuse_waiting(client)
                await self._check(password, client)
        finally:
            self._waiting -= 1

    async def change_password(self, session_id: str, old: str, new: str, client: str) -> str:
        """Take `new` as the password and return the id of the session that goes on; all others end. Raises Refused and OSError."""
        await self.check(old, client)
        if (why := passwords.complaint(new)) is not None:
            raise Refused(why, least=passwords.LEAST_LENGTH, most=passwords.GREATEST_LENGTH)
        if new == old:
            raise Refused(N_("That is the old password: choose another one."))
        kept = await asyncio.to_thread(passwords.hashed, new)
        state = self._changed(lambda state: state.with_password(kept, own=True))
        # Where it lies in a folder that only `sps setup` may write, it opens nothing any more.
        with contextlib.suppress(OSError):
            self.first_password_file.unlink(missing_ok=True)
        self._sessions.end(session_id)
        log.warning("the page's password was changed from %s", client)
        return self._sessions.begin(state.epoch)

    def logout(self, session_id: str) -> None:
        """End one session."""
        self._sessions.end(session_id)

    def logout_everywhere(self) -> None:
        """End all sessions. Raises Refused and OSError."""
        self._changed(AccessState.logged_out)

    def add_token(self, token: tokens.Token) -> None:
        """Accept `token` from now on. Raises Refused and OSError."""
        self._changed(lambda state: state.with_token(token))

    def revoke_token(self, token_id: str) -> None:
        """Accept that token no longer. Raises Refused and OSError."""
        self._changed(lambda state: state.without_token(token_id))

    def _first_password(self) -> str:
        try:
            return first_password(self.settings.first_password)
        except OSError:
            # A container may read its secrets and not write them; where `sps setup` made none, our own folder has to do.
            return first_password(self.settings.folder / self.settings.first_password.name)

    def _changed(self, change: Callable[[AccessState], AccessState]) -> AccessState:
        try:
            return self.store.change(change)
        except AccessUnusable as error:
            raise Refused("{why}", why=str(error)) from None

    def _refuse_waiting(self, client: str) -> None:
        if (wait_s := self._throttle.wait_s(_network(client), self._now_s())) > 0.0:
            raise Refused(N_("Too many wrong passwords: try again in {seconds} s."), wait_s=wait_s, seconds=max(1, round(wait_s)))

    async def _check(self, password: str, client: str) -> None:
        state = self.state()
        if state is None or state.password_hash is None:
            raise Refused(NO_RECORD)
        if len(password) > passwords.GREATEST_LENGTH or not await asyncio.to_thread(passwords.matches, password, state.password_hash):
            self._throttle = self._throttle.failed(_network(client), self._now_s())
            log.warning("a wrong password came from %s", client)
            wait_s = self._throttle.wait_s(_network(client), self._now_s())
            if wait_s:
                raise Refused(N_("The password is wrong; the next one is looked at in {seconds} s."), seconds=max(1, round(wait_s)))
            raise Refused(N_("The password is wrong."))
        self._throttle = self._throttle.succeeded(_network(client))


def _network(client: str) -> str:
    """Who shares one count: an address, or for IPv6, where everybody has plenty of them, its /64."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
