"""Handlers of a third party, each with a defect. `install` makes a package of them that a gateway finds."""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOREVER = 3600.0

ENTRY_POINTS = """[vibration_gateway.handlers]
raises = handlers_that_fail:Raises
never-ends = handlers_that_fail:NeverEnds
junk = handlers_that_fail:Junk
blocks = handlers_that_fail:Blocks
exits = handlers_that_fail:Exits
forks = handlers_that_fail:Forks
floods = handlers_that_fail:Floods
"""


class _Handler:
    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.settings = settings


class Raises(_Handler):
    async def send(self, _notification: object) -> str:
        raise ZeroDivisionError("a defect of the plugin")


class NeverEnds(_Handler):
    async def send(self, _notification: object) -> str:
        await asyncio.Event().wait()
        return "never"


class Junk(_Handler):
    async def send(self, _notification: object) -> Any:
        return {"ok": object(), "text": b"\xff\x00\x1b[2J"}


class Blocks(_Handler):
    async def send(self, _notification: object) -> str:
        time.sleep(FOREVER)  # noqa: ASYNC251 - that is the defect
        return "never"


class Exits(_Handler):
    async def send(self, _notification: object) -> str:
        os._exit(3)


class Forks(_Handler):
    async def send(self, _notification: object) -> str:
        os.fork()
        return "twice"


class Floods(_Handler):
    async def send(self, _notification: object) -> str:
        while True:
            print("x" * 1000)  # noqa: T201 - that is the defect


def install(folder: Path) -> Path:
    """Write the package with its entry points into a folder for PYTHONPATH."""
    information = folder / "handlers_that_fail-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "handlers_that_fail.py").write_text(Path(__file__).read_text(encoding="utf-8"))
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: handlers-that-fail\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder
