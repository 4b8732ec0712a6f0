"""The packages that the guides for third parties show, installed as a reader of the guide would."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def files_of(guide: str) -> dict[str, str]:
    """Return the files that a page of the documentation shows whole, by name."""
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    return dict(re.findall(r"^\*\*(\S+)\*\*\n\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


def lines(files: dict[str, str]) -> int:
    return sum(bool(line) for text in files.values() for line in text.splitlines())


def install(files: dict[str, str], source: Path, site: Path) -> None:
    """Install a package into a folder, without a network."""
    for name, text in files.items():
        (source / name).write_text(text)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", site, source], check=True)


def run(site: Path, code: str, *arguments: str) -> str:
    """Run a program that finds the installed package; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
