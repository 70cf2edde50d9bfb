"""Checks the locks: every requirement hashed, no host named, and what two of them hold the same in both."""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "requirements"
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; (.*?))? \\$")


def versions(text: str) -> dict[str, set[str]]:
    """The versions of each package that a lock pins; more than one where markers choose."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if match := REQUIREMENT.match(line):
            found.setdefault(match[1], set()).add(match[2])
    return found


def problems(name: str, text: str) -> list[str]:
    """What is wrong with one lock, in words."""
    wrong = []
    for block in re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))):
        first = block.splitlines()[0] if block.strip() else ""
        if first and not REQUIREMENT.match(first):
            wrong.append(f"{name}: '{first}' is not a pinned requirement")
        elif first and "--hash=sha256:" not in block:
            wrong.append(f"{name}: '{first}' has no hash")
    if "://" in text:
        wrong.append(f"{name}: names an address; locks must work wherever they are installed")
    return wrong


def disagreements(name: str, smaller: str, dev: str) -> list[str]:
    """What the smaller lock holds and the largest does not, or in another version. Where a marker leaves it out may differ."""
    larger = versions(dev)
    return [
        f"{name} has {package}=={version}, dev.txt does not"
        for package, pinned in versions(smaller).items()
        for version in sorted(pinned - larger.get(package, set()))
    ]


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    texts = {str(file.relative_to(FOLDER)): file.read_text(encoding="utf-8") for file in sorted(FOLDER.rglob("*.txt"))}
    wrong = [problem for name, text in texts.items() for problem in problems(name, text)]
    wrong += [problem for name, text in texts.items() for problem in disagreements(name, text, texts["dev.txt"])]
    for problem in wrong:
        print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
