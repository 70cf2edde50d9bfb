"""Checks the locks: every requirement hashed, no host named, and what both locks hold the same in both."""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "requirements"
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+?)(?: ; (.*?))? \\$")


def requirements(text: str) -> dict[tuple[str, str], str]:
    """The version of each (package, marker) that a lock pins."""
    found = (REQUIREMENT.match(line) for line in text.splitlines())
    return {(m[1], m[3] or ""): m[2] for m in found if m}


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


def disagreements(run: str, dev: str) -> list[str]:
    """What the smaller lock holds and the larger does not, or in another version."""
    larger = requirements(dev)
    return [f"run.txt has {package}=={version}, dev.txt does not" for (package, marker), version in requirements(run).items()
            if larger.get((package, marker)) != version]  # fmt: skip


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    texts = {name: (FOLDER / name).read_text(encoding="utf-8") for name in ("run.txt", "dev.txt")}
    wrong = [problem for name, text in texts.items() for problem in problems(name, text)]
    wrong += disagreements(texts["run.txt"], texts["dev.txt"])
    for problem in wrong:
        print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
