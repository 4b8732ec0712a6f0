"""A journal that is gone: nothing is stored into a new one before somebody has said so."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from gateway.config import RetentionSection
from gateway.ingest.subscriptions import SUBSCRIPTIONS, begin_on_purpose, is_first_start
from gateway.journal import Journal, Upkeep
from gateway.mqtt.incidents import Incidents
from gateway.mqtt.losses import Session
from tests.readings import plant, reading


def moved_away(folder: Path, *, with_everything: bool) -> None:
    """Let a journal with three readings be used there, and then be gone."""
    with plant(folder) as here:
        here.journal.write_note(SUBSCRIPTIONS, "[]")
        for second in range(3):
            here.take(reading(second))
    for file in folder.iterdir():
        if with_everything or file.suffix != ".mark":
            file.rename(folder.parent / file.name)


async def upkeep_said(journal: Journal, folder: Path, session: Session) -> tuple[str | None, bool]:
    """Return why nothing may be stored, and whether a batch is held back."""
    nothing = cast("Any", None)
    is_first = is_first_start(journal)
    upkeep = Upkeep(
        journal, nothing, folder, RetentionSection(), nothing, is_foreign=lambda: is_first and session.is_older
    )
    waiting = asyncio.ensure_future(upkeep.room())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    waiting.cancel()
    return upkeep.problem, not done


def session_of(*, present: bool) -> Session:
    session = Session("gateway", Incidents())
    session.connected(present=present)
    return session


async def test_a_first_start_needs_no_step(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.db")) as journal:
        assert await upkeep_said(journal, tmp_path, session_of(present=False)) == (None, False)
        begin_on_purpose(journal)  # as a gateway that connects does
    with closing(Journal(tmp_path / "journal.db")) as journal:
        assert await upkeep_said(journal, tmp_path, session_of(present=True)) == (None, False)


async def test_a_journal_that_is_gone_is_missed_at_each_start_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    moved_away(folder, with_everything=False)
    for _ in range(3):
        with closing(Journal(folder / "journal.db")) as journal:
            problem, is_held = await upkeep_said(journal, folder, session_of(present=False))
            assert is_held
            assert problem is not None
            assert "journal.db is gone, and it had 3 entries; nothing is stored" in problem
            assert journal.salvaged is None
            journal.write_note("an alert", "told")
    (tmp_path / "journal.db").rename(folder / "journal.db")
    with closing(Journal(folder / "journal.db")) as journal:
        assert (journal.missing, journal.salvaged, journal.next_seq) == (None, None, 4)


async def test_a_folder_that_is_not_mounted_is_missed_since_the_broker_knows_the_gateway(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    moved_away(folder, with_everything=True)
    for attempt in range(2):
        with closing(Journal(folder / "journal.db")) as journal:
            if attempt == 1:  # whatever the broker says then
                journal.write_note(SUBSCRIPTIONS, "[]")
            problem, is_held = await upkeep_said(journal, folder, session_of(present=attempt == 0))
            assert is_held
            assert problem is not None
            assert "is new, but the broker has a session of this gateway" in problem


async def test_a_journal_with_something_in_it_belongs_here(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        here.take(reading())
        assert await upkeep_said(here.journal, tmp_path, session_of(present=True)) == (None, False)


async def test_a_folder_that_is_gone_while_the_gateway_runs_does_not_end_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    said: dict[str, str | None] = {}

    async def report(subject: str, problem: str | None, _severity: str = "warning", /) -> None:
        said[subject] = problem

    with plant(folder) as here:
        nothing = cast("Any", None)
        upkeep = Upkeep(here.journal, nothing, folder, RetentionSection(), nothing)
        folder.rename(tmp_path / "elsewhere")
        await upkeep.check_file(report)
        await upkeep.check_disk(report)
        await upkeep.check_log(report)
        assert "deleted or replaced" in (said["journal file"] or "")
        assert upkeep.problem is not None
