"""`make texts`: the texts of the page out of templates, code and scripts into the catalogues, and these compiled.

What is said to people stands in English where it is used; `messages.po` in `services/gateway/locale/<language>/LC_MESSAGES/` has the
other languages.
"""

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from services.core.sharing_fields import FIELDS
from services.gateway.languages.language import ENGLISH, LANGUAGES, LOCALE

GATEWAY = LOCALE.parent
METHODS = [
    *((f"{folder}/**.py", "python") for folder in ("access", "languages", "pages")),
    ("templates/**.html", "jinja2"),
    ("static/js/**.js", "javascript"),
]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""In the compiled catalogue, which would else differ from one making to the next."""
KEYWORDS = {"_": None, "N_": None, "t": None, "gettext": None}


def template() -> Catalog:
    """Every text that the page says, and where."""
    found = Catalog(charset="utf-8", header_comment="# Texts of the page. `make texts` keeps the list; the translations are ours.")
    options = {"**.html": {"newstyle_gettext": "true", "trimmed": "false", "silent": "false"}}
    rows = extract_from_dir(str(GATEWAY), METHODS, options, KEYWORDS)
    for name, _line, message, _comments, _context in sorted(rows, key=lambda row: (row[0], row[1])):
        # Without line numbers, which would change with every edit.
        found.add(message, locations=[(name, 0)])
    for field in FIELDS:
        found.add(field.meaning, locations=[("core/sharing_fields.py", 0)])
    return found


def catalogue(language: str) -> Catalog:
    """The catalogue of `language` as it is kept."""
    with po(language).open("rb") as file:
        return read_po(file, locale=language)


def po(language: str) -> Path:
    """Where it is kept."""
    return LOCALE / language / "LC_MESSAGES" / "messages.po"


def po_bytes(found: Catalog) -> bytes:
    """As it is kept: nothing in it that changes by itself."""
    out = io.BytesIO()
    write_po(out, found, width=120, sort_by_file=False, omit_header=True, ignore_obsolete=True)
    header = f'{found.header_comment}\nmsgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    return header.encode() + out.getvalue()


def mo_bytes(found: Catalog) -> bytes:
    """What gettext reads."""
    kept = Catalog(locale=found.locale, charset="utf-8", fuzzy=False, creation_date=EPOCH, revision_date=EPOCH)
    for message in found:
        if message.id and message.string and not message.fuzzy:
            kept.add(message.id, message.string)
    kept.mime_headers = [("Content-Type", "text/plain; charset=utf-8")]
    out = io.BytesIO()
    write_mo(out, kept)
    return out.getvalue()


def script_bytes(found: Catalog) -> bytes:
    """What the scripts read: the texts that are used in them."""
    texts = {str(m.id): str(m.string) for m in found if m.id and m.string and any(name.endswith(".js") for name, _ in m.locations)}
    return (json.dumps(dict(sorted(texts.items())), ensure_ascii=False, indent=1) + "\n").encode()


def merged(language: str, fresh: Catalog) -> Catalog:
    """The kept catalogue with the texts as they are now; new ones are untranslated."""
    kept = catalogue(language) if po(language).exists() else Catalog(locale=language)
    known = {message.id: message.string for message in kept if message.id}
    found = Catalog(locale=language, charset="utf-8", header_comment=fresh.header_comment)
    for message in fresh:
        if message.id:
            found.add(message.id, known.get(message.id, ""), locations=message.locations)
    return found


def main() -> int:
    fresh = template()
    missing = 0
    for language in LANGUAGES:
        if language == ENGLISH:
            continue
        found = merged(language, fresh)
        po(language).parent.mkdir(parents=True, exist_ok=True)
        po(language).write_bytes(po_bytes(found))
        po(language).with_suffix(".mo").write_bytes(mo_bytes(found))
        (LOCALE / language / "scripts.json").write_bytes(script_bytes(found))
        untranslated = [message.id for message in found if message.id and not message.string]
        missing += len(untranslated)
        print(f"{language}: {len(found)} texts, {len(untranslated)} to translate in {po(language)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
