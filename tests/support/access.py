"""A house that asks who comes, and the ways in."""

import re
from pathlib import Path
from typing import Any, Self

import requests

from services.bus.clock import utc_now
from services.gateway.access import tokens
from services.gateway.access.store import Store
from services.gateway.access.visitor import Scope
from tests.support.gateway import House


class GuardedHouse(House):
    """A gateway with access control on."""

    def __init__(self, folder: Path, **web: Any) -> None:
        super().__init__(folder, web={"password": True, **web})
        self.first_password_file = folder / "secrets" / "gateway" / "first-password"
        self.store = Store(self.var / "gateway")

    @property
    def password(self) -> str:
        return self.first_password_file.read_text(encoding="utf-8").strip()

    def token(self, *scopes: Scope) -> str:
        word, kept = tokens.made("test", scopes, utc_now())
        self.store.change(lambda state: state.with_token(kept))
        return word

    def bearer(self, *scopes: Scope) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*scopes)}"}

    def browser(self) -> "Browser":
        return Browser(self)


class Browser(requests.Session):
    """What a person's browser does: cookies, an Origin with each write, and the forms' tokens."""

    def __init__(self, house: GuardedHouse) -> None:
        super().__init__()
        self.house = house
        self.trust_env = False

    def log_in(self, password: str | None = None) -> Self:
        answer = self.form("/login", password=self.house.password if password is None else password)
        assert answer.status_code == 303, answer.text
        return self

    def visit(self, path: str) -> requests.Response:
        return self.get(self.house.url + path, headers={"Accept": "text/html"}, allow_redirects=False, timeout=10)

    def form(self, path: str, *, headers: Any = None, **fields: Any) -> requests.Response:
        return self.post(
            self.house.url + path, data=fields, headers={"Origin": self.house.url, **(headers or {})}, allow_redirects=False, timeout=10
        )

    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.visit("/access").text)
        assert found is not None
        return found[1]
