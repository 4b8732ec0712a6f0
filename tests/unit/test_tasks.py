"""What ends the gateway keeps its name and its cause."""

import asyncio
import sqlite3
from collections.abc import Awaitable

import pytest
from structlog.testing import capture_logs

from gateway.app.tasks import Tasks
from gateway.errors import JournalError


async def fail() -> None:
    raise JournalError("journal.db is damaged") from sqlite3.DatabaseError("malformed")


async def break_down() -> None:
    raise ZeroDivisionError


async def group_of(*work: object) -> None:
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)  # type: ignore[arg-type] # coroutines of this file
        group.create_task(asyncio.Event().wait())


async def run_as_http(work: Awaitable[None]) -> None:
    async with Tasks() as tasks:
        tasks.start("http", work)
        await tasks.failure()


async def test_an_error_of_one_task_of_a_group_is_that_error_with_its_cause() -> None:
    with capture_logs() as said, pytest.raises(JournalError, match="damaged") as caught:
        await run_as_http(group_of(group_of(fail())))
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert said == []


async def test_several_are_told_together() -> None:
    with capture_logs() as said, pytest.raises(ExceptionGroup) as caught:
        await run_as_http(group_of(fail(), break_down()))
    assert len(caught.value.exceptions) == 2
    assert [line["part"] for line in said] == ["http"]
