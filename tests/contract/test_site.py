"""The documentation: one site without a broken link, that fetches nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[2]
FOREIGN = re.compile(r"""(?:src|href)=["']?(https?://[^"' >]+\.(?:js|css|woff2?|png|svg))|@import|url\(["']?https?:""")


def test_the_site_is_built_without_a_broken_link_and_loads_nothing_from_elsewhere(tmp_path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=REPO, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    assert not [(page.name, found[0]) for page in pages if (found := FOREIGN.findall(page.read_text(encoding="utf-8")))]


def test_every_command_in_the_docs_exists() -> None:
    """`sps NAME` in a code span or block of any page is a command that `sps --help` knows."""
    known = subprocess.run(
        [sys.executable, "-m", "services.cli", "--help"], capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"}
    ).stdout
    named: dict[str, str] = {}
    for page in [REPO / "README.md", *(REPO / "docs").rglob("*.md")]:
        for code in re.findall(r"```.*?```|`[^`\n]+`", page.read_text(encoding="utf-8"), re.DOTALL):
            for name in re.findall(r"(?:^|[\s/`(])sps ([a-z][a-z-]+)(?=[\s`)]|$)", code):
                named[name] = page.name
    missing = {name: page for name, page in named.items() if re.search(rf"^[│|\s]*{name}\s", known, re.MULTILINE) is None}
    assert named
    assert not missing
