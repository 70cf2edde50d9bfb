"""What all pages share: templates in the visitor's language, and the two forms of an answer, a whole page or a piece of one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import NullTranslations
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import Response

from services.gateway.desk import Desk
from services.gateway.languages import language
from services.gateway.languages.reason_patterns import N_
from services.gateway.languages.words import Words

TEMPLATES = Path(__file__).parents[1] / "templates"
PAGES = (
    ("/", "now", N_("Now")),
    ("/events", "events", N_("Events")),
    ("/history", "history", N_("History")),
    ("/preferences", "preferences", N_("Preferences")),
    ("/devices", "devices", N_("Devices")),
    ("/log", "log", N_("Log")),
)
"""Path, icon and name of each page in the navigation."""


@dataclass(frozen=True, slots=True)
class _Edition:
    """Everything of one language."""

    environment: Environment
    words: Words
    catalogue: NullTranslations
    script_texts: str


class Site:
    """The templates of `desk`'s pages. Raises OSError where a language was not compiled."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._editions = {code: self._edition(code) for code in language.LANGUAGES}

    def _edition(self, code: str) -> _Edition:
        catalogue = language.translations(code)
        words = Words(code, self.desk.station.zone, catalogue)
        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        # The extension adds these to the environment; its stubs do not know.
        environment.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
        environment.globals.update(w=words, pages=PAGES, languages=language.LANGUAGES, language=code)
        return _Edition(environment, words, catalogue, json.dumps(dict(language.script_texts(code)), ensure_ascii=False))

    def language(self, request: Request) -> str:
        """The visitor's language."""
        return language.chosen(request.cookies.get(language.COOKIE), request.headers.get("accept-language", ""))

    def words(self, request: Request) -> Words:
        """How to say things to this visitor."""
        return self._editions[self.language(request)].words

    def text(self, request: Request, text: str, **values: object) -> str:
        """`text` in the visitor's language, `{name}` filled in."""
        return self._editions[self.language(request)].catalogue.gettext(text).format(**values)

    def render(self, request: Request, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200) -> HTMLResponse:
        """`template` for this visitor. `values` are escaped wherever they stand."""
        edition = self._editions[self.language(request)]
        path = request.url.path
        html = edition.environment.get_template(template).render(
            path=path,
            state=self.desk.state(),
            script_texts=edition.script_texts,
            csrf_token=getattr(request.state, "csrf_token", ""),
            **(values or {}),
        )
        # The language depends on the visitor, and what is shown on the moment.
        headers = {"cache-control": "no-store", "content-language": edition.words.language, "vary": "accept-language, cookie"}
        return HTMLResponse(html, status, headers)

    def told(self, request: Request, text: str, *, back: str, good: bool = True, status: int | None = None) -> Response:
        """Tell what a form came to: as a piece for htmx, as a page of its own to a browser without scripts."""
        code = status or (200 if good else 422)
        if wants_piece(request):
            return self.render(request, "_told.html", {"text": text, "good": good}, status=code)
        return self.render(request, "told.html", {"text": text, "good": good, "back": back}, status=code)


def wants_piece(request: Request) -> bool:
    """Whether htmx asks, and puts the answer into the page that is there."""
    return request.headers.get("hx-request") == "true"


def to(path: str) -> RedirectResponse:
    """Off to `path`, by GET."""
    return RedirectResponse(path, 303)
