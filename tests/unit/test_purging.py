"""Sensors that are removed, with everything that the gateway keeps of them: in memory, in the journal, on the page."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import Commands
from gateway.consumers.live_state import Live
from gateway.domain.alerting.alert import CLEARED, RAISED
from gateway.domain.engine.purging import SENSORS_PURGED, Selection, selected
from gateway.domain.engine.quotas import Quotas
from gateway.domain.model.events import Message
from gateway.errors import ConflictError
from gateway.journal import Reader, Stream
from gateway.journal.maintenance import purge as purge_module
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading, topic_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    monkeypatch.setattr(purge_module, "ROWS_AT_ONCE", 3)
    with plant(tmp_path) as made:
        yield made


def purge(here: Plant, wanted: Selection, *, machine_states: bool = False) -> dict[str, int]:
    commands = Commands(here.journal)
    return dict(asyncio.run(commands.purge(wanted, "anna", "invented", machine_states=machine_states)))


def ids(here: Plant) -> list[str]:
    return [sensor.id for sensor in here.contents()["sensors"]]


def rows(here: Plant, table: str) -> int:
    ((count,),) = here.journal._db.execute(f"SELECT count(*) FROM {table}")  # noqa: S608, SLF001 - a table's name
    return int(count)


def forged(count: int) -> list[Message]:
    return [reading(number, sensor=f"FORGED-{number}") for number in range(count)]


def test_nothing_is_left_of_them_and_nothing_of_the_others_goes(here: Plant) -> None:
    here.take(reading(0), *forged(20), reading(21))
    here.pipeline.snapshot()
    here.journal.add_rollups({"rollups_10s": [(key, 0, 1.0, 1.0, 1.0, 1) for key in range(1, 22)]}, 22)
    assert purge(here, Selection(pattern="FORGED-*")) == {"sensors": 20, "machineStates": 0}
    assert ids(here) == ["VB-1"]
    assert [row.sensor_id for row in here.contents()["readings"]] == ["VB-1", "VB-1"]
    assert [rows(here, table) for table in ("detector", "rollups_10s")] == [1, 1]
    assert [sensor.id for sensor in here.pipeline.sensors] == ["VB-1"]


def test_of_two_with_one_id_the_other_stays_and_the_next_reading_is_of_a_new_one(here: Plant) -> None:
    def de(second: float, machine: str) -> Message:
        return message(event(second, 4.0, "DE", id_=f"{machine}-{second}"), topic=topic_of("DE", machine))

    here.take(de(0, "pump-3"), de(1, "fan-9"))
    assert purge(here, Selection(["DE (fan-9)"]))["sensors"] == 1
    assert ids(here) == ["DE"]
    here.take(de(2, "fan-9"), de(3, "pump-3"))
    assert [row.sensor_id for row in here.contents()["readings"]] == ["DE (pump-3)", "DE (fan-9)", "DE (pump-3)"]
    with pytest.raises(ConflictError, match="write which one is meant"):
        purge(here, Selection(["DE"]))
    assert purge(here, Selection(pattern="DE"))["sensors"] == 2
    assert ids(here) == []


def test_nobody_holds_them_in_memory(here: Plant) -> None:
    here.take(*forged(5))
    held = [weakref.ref(sensor.state.gaps) for sensor in here.pipeline.sensors]
    purge(here, Selection(unlearned=True))
    gc.collect()
    assert [each() for each in held] == [None] * 5


def test_there_is_room_for_real_ones_again(here: Plant) -> None:
    here.quotas = Quotas(sensors=5)
    here.crash()
    here.take(*forged(9), reading(20))
    assert "VB-1" not in ids(here)
    purge(here, Selection(pattern="FORGED-*"))
    here.pipeline.replay([letter for letter in here.journal.dead_letters([]) if b"VB-1" in letter[1].payload], NOON_NS)
    assert ids(here) == ["VB-1"]


def test_their_alerts_end_and_what_became_of_them_stays(here: Plant) -> None:
    here.take(*(reading(second, 8.0) for second in range(3)))
    purge(here, Selection(ids=["VB-1"]))
    assert here.changes() == [(RAISED, "warning"), (CLEARED, "warning")]
    (alert,) = here.contents()["alerts"]
    assert (alert.state, alert.reason) == ("cleared", alert.reason)
    (fact,) = [fact for _, fact in here.contents()["facts"] if fact.type == SENSORS_PURGED]
    assert (fact.data["sensors"], fact.data["by"], fact.data["comment"]) == (["VB-1"], "anna", "invented")


@pytest.mark.parametrize("crashes", [False, True])
def test_one_that_publishes_again_is_a_new_sensor(here: Plant, *, crashes: bool) -> None:
    here.take(*(reading(second, 8.0) for second in range(3)))
    purge(here, Selection(ids=["VB-1"]))
    if crashes:
        here.crash()
    here.take(reading(10), *(reading(second, 8.0) for second in range(11, 14)))
    assert here.changes() == [(RAISED, "warning"), (CLEARED, "warning"), (RAISED, "warning")]
    before = here.contents()
    here.crash()
    assert here.contents() == before


def test_what_machines_without_a_sensor_have_said_goes_too_if_it_is_asked_for(here: Plant) -> None:
    def state(machine: str, word: str) -> Message:
        return Message(f"vibration/plant-1/hall-2/{machine}/state", b'{"state": "%s"}' % word.encode(), NOON_NS, 1)

    here.take(reading(0), state("pump-7", "running"), state("forged-1", "on"), state("forged-2", "on"))
    assert purge(here, Selection(), machine_states=True) == {"sensors": 0, "machineStates": 2}
    here.crash()
    here.take(reading(1))
    assert list(here.pipeline._engine.machines.states.values()) == ["running"]  # noqa: SLF001 - what is remembered


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Selection(ids=["VB-1", "nobody"]), ["VB-1"]),
        (Selection(pattern="*-2"), ["VB-2"]),
        (Selection(pattern="V.-*"), []),
        (Selection(heard_before_ns=NOON_NS + 50 * SECOND), ["VB-1"]),
        (Selection(ids=["VB-1"], pattern="VB-2"), []),
        (Selection(unlearned=True), ["VB-1", "VB-2"]),
    ],
)
def test_who_is_asked_for(here: Plant, wanted: Selection, names: list[str]) -> None:
    here.take(reading(0), reading(100, sensor="VB-2"))
    assert selected(here.pipeline.sensors, wanted) == names


async def test_a_selection_that_asks_nothing_is_of_nobody(here: Plant) -> None:
    here.take(reading(0))
    assert await Commands(here.journal).selected(Selection()) == []
    await Commands(here.journal).purge(Selection(), "anna", "", machine_states=False)
    assert ids(here) == ["VB-1"]


async def test_the_page_and_whoever_reads_the_journal_know_them_no_more(here: Plant) -> None:
    live = Live()
    with closing(Stream(here.journal, here.path)) as stream:
        here.take(reading(0), *forged(5))
        stream.announce()
        step = await stream.read(Reader.step, 0, 100)
        await live.consume(step.readings, step.entries)
        seen = live.version
        await Commands(here.journal, stream).purge(Selection(pattern="FORGED-*"), "anna", "", machine_states=False)
        step = await stream.read(Reader.step, step.until, 100)
        await live.consume(step.readings, step.entries)
        assert stream._reader._sensors.keys() == {1}  # noqa: SLF001 - what is kept in memory
    assert live.changes(seen)["gone"] == [f"FORGED-{number}" for number in range(5)], "an open page drops them"
    shown: dict[str, Any] = live.changes(0)
    assert shown["counts"]["sensors"] == 1
    assert [row[0] for row in shown["sensors"]] == ["VB-1"]
