"""What inputs read on its way through the pipeline, through a restart, and delivered again."""

import asyncio
import json
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.config.to_inputs import compiled
from gateway.domain.alerting.alert import RAISED
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.specs import InputSpec
from gateway.domain.model.events import Message
from gateway.errors import JournalUnavailableError
from gateway.ingest.mapped import MAX_REMARKS
from gateway.ingest.waveforms import measure_waveforms
from gateway.journal import Reader, life_of
from gateway.plugins.decoders import load_decoder
from tests.readings import NOON_NS, SECOND, Plant, reading

INPUTS = """
[[inputs]]
name = "three axes"
topic = "maker/{machine}/{sensor}/data"
where = { kind = "features" }
axes = ["x", "y", "z"]
time = "at"
fields = { level = "rms.{axis}", temperature = "t" }

[[inputs]]
name = "bare"
topic = "bare/{sensor}"
format = "value"
fields = { level = "value" }

[[inputs]]
name = "blocks"
topic = "blocks/{sensor}"
time = "at"
waveform = { samples = "block", rate = 1000, unit = "m/s²", parts = { id = "id", index = "part", count = "of" } }

[[inputs]]
name = "presence"
topic = "presence/{sensor}"
status = { path = "state", online = "up", offline = "down" }
"""


def specs(text: str = INPUTS) -> list[InputSpec]:
    problems: list[str] = []
    made = compiled(tomllib.loads(text)["inputs"], load_decoder, problems)
    assert problems == []
    return made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path, inputs=specs())
    yield made
    made.journal.close()


def sent(topic: str, payload: object, second: float = 0, **more: Any) -> Message:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Message(topic, body, NOON_NS + int(second * SECOND), **more)


def axes(second: int, level: float = 4.0, sensor: str = "S-1", **more: Any) -> Message:
    at = (NOON_NS // SECOND + second) * 1000
    content = {"kind": "features", "at": at, "rms": {"x": level, "y": 1.0, "z": 2.0}, "t": 41.5}
    return sent(f"maker/pump-7/{sensor}/data", content, second, **more)


def block(part: int, of: int = 2, second: int = 0, **more: Any) -> Message:
    content = {"at": NOON_NS // SECOND + second, "id": "c", "part": part, "of": of, "block": [1.0, -1.0] * 50}
    return sent("blocks/W-1", content, second, **more)


async def measured(here: Plant, enough: int) -> None:
    """Run the worker until so many readings are in the journal."""
    wake = asyncio.Event()
    seen = asyncio.Event()

    def announce() -> None:
        if len(here.contents()["readings"]) >= enough:
            seen.set()

    worker = asyncio.create_task(measure_waveforms(here.journal, here.pipeline, announce, wake, 10**6))
    async with asyncio.timeout(10):
        await seen.wait()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


def test_a_message_of_three_axes_is_three_readings_of_three_sensors_and_stays_as_it_came(here: Plant) -> None:
    here.take(axes(1))
    found = here.contents()["readings"]
    assert [(each.sensor_id, each.level, each.tags["machine"]) for each in found] == [
        ("S-1-x", 4.0, "pump-7"), ("S-1-y", 1.0, "pump-7"), ("S-1-z", 2.0, "pump-7"),
    ]  # fmt: skip
    assert all(each.event().data.temperature == 41.5 for each in found)
    for each in found:
        received_ns, name, topic, payload, size = here.journal.all("original_of", each.seq, 1000)[0]
        assert (received_ns, name, topic) == (axes(1).received_ns, "three axes", "maker/pump-7/S-1/data")
        assert (payload, size) == (axes(1).payload, len(payload))


def test_a_trace_shows_the_message_as_it_came_and_none_of_an_event_of_our_own(here: Plant) -> None:
    here.take(axes(1), reading(2), sent("bare/S-9", b"1" + 500 * b"0" + b"\xff", 3), sent("bare/S-9", b"1.5", 4))
    with here.reader() as reader:
        steps = {each.sensor_id: _message(reader, each.event_id) for each in here.contents()["readings"]}
    assert (steps["S-1-y"]["input"], steps["S-1-y"]["topic"]) == ("three axes", "maker/pump-7/S-1/data")
    assert steps["S-1-y"]["payload"].encode() == axes(1).payload
    assert steps["S-1-y"]["what"].startswith("input three axes read it on maker/pump-7/S-1/data, 91 bytes: {")
    assert steps["VB-1"] == {}
    assert steps["S-9"]["payload"] == "1.5"


def test_what_each_input_has_done_is_counted(here: Plant) -> None:
    quiet = sent("maker/pump-7/S-1/data", {"kind": "status"}, 2)
    here.take(axes(1), axes(2), quiet, sent("bare/S-9", b"1.5", 4))
    three, bare, *_ = here.pipeline.inputs_heard()
    assert (three.name, three.messages, three.ignored) == ("three axes", 2, 1)
    assert (bare.messages, bare.ignored, bare.unused) == (1, 0, [])


async def test_a_trace_of_what_a_waveform_comes_to_says_on_which_topic_it_came(here: Plant) -> None:
    here.take(block(0), block(1))
    await measured(here, 1)
    (found,) = here.contents()["readings"]
    with here.reader() as reader:
        step = _message(reader, found.event_id)
    assert step["what"] == "input blocks read a waveform on blocks/W-1: 200 samples, 1000 a second"


def _message(reader: Reader, event_id: str) -> dict[str, Any]:
    found = life_of(reader, event_id)
    assert found is not None
    return next((step for step in found["steps"] if step["step"] == "message"), {})


def test_what_an_input_reads_is_judged_as_every_other_reading(here: Plant) -> None:
    here.take(*(axes(second, 8.0) for second in range(3)))
    assert here.changes() == [(RAISED, "warning")]


def test_the_event_itself_is_read_beside_the_inputs(here: Plant) -> None:
    here.take(axes(1), reading(1))
    assert {each.sensor_id for each in here.contents()["readings"]} == {"S-1-x", "S-1-y", "S-1-z", "VB-1"}


@pytest.mark.parametrize("crash", [False, True])
def test_a_message_without_a_time_of_its_own_is_stored_once_though_it_is_delivered_again(
    here: Plant, *, crash: bool
) -> None:
    here.take(sent("bare/B-1", b"1.5", 1, packet_id=7))
    if crash:
        here.crash()
    batch = here.take(sent("bare/B-1", b"1.5", 9, packet_id=7, duplicate=True))
    assert (batch.duplicates, len(here.contents()["readings"])) == (1, 1)


def test_a_sensor_that_says_the_same_again_has_measured_the_same_again(here: Plant) -> None:
    here.take(sent("bare/B-1", b"1.5", 1, packet_id=7), sent("bare/B-1", b"1.5", 2, packet_id=8))
    here.take(sent("bare/B-1", b"1.5", 3, packet_id=9))
    assert [each.level for each in here.contents()["readings"]] == [1.5, 1.5, 1.5]


def test_what_does_not_hold_is_counted_and_what_nobody_understands_is_a_dead_letter(here: Plant) -> None:
    other = sent("maker/pump-7/S-1/data", {"kind": "diagnosis"})
    batch = here.take(other, other, sent("nowhere/1", b"1"))
    assert batch.ignored == {"three axes": 2}
    assert here.contents()["dead letters"] == {"not_understood": 1}


def test_a_dead_letter_is_read_when_the_input_is_mended(here: Plant) -> None:
    here.take(sent("other/O-1", {"v": 2.5}, 1))
    here.inputs = specs(
        INPUTS
        + """
[[inputs]]
topic = "other/{sensor}"
fields = { level = "v" }
"""
    )
    here.crash()
    assert here.pipeline.replay(here.journal.dead_letters([]), NOON_NS)
    assert [each.sensor_id for each in here.contents()["readings"]] == ["O-1"]
    assert here.contents()["dead letters"] == {}


@pytest.mark.parametrize("crash", [False, True])
async def test_the_parts_of_a_block_become_one_reading_whatever_happens_between_them(
    here: Plant, *, crash: bool
) -> None:
    here.take(block(0))
    if crash:
        here.crash()
    here.take(block(1))
    if crash:
        here.crash()
    await measured(here, 1)
    (found,) = here.contents()["readings"]
    assert (found.sensor_id, found.level, found.event().data.peak) == ("W-1", 1.0, 1.0)
    assert here.journal.waveforms_to_measure(10) == []


async def test_a_block_that_is_delivered_again_is_measured_once(here: Plant) -> None:
    whole = block(0, of=1)
    here.take(whole)
    here.take(block(0, of=1, duplicate=True))
    await measured(here, 1)
    assert len(here.contents()["readings"]) == 1


def test_the_oldest_measured_blocks_go_first_when_there_is_no_room(here: Plant) -> None:
    here.take(block(0, of=1, second=1), block(0, of=1, second=2), block(0, of=1, second=3))
    numbers = [number for number, *_ in here.journal.waveforms_to_measure(10)]
    here.pipeline.measure([(number, block(0), None) for number in numbers], NOON_NS)
    assert here.journal.trim_waveforms(2 * 400) == 1
    assert here.journal.all("newest_messages", 10) == here.journal.all("newest_messages", 2)


def test_presence_without_an_axis_is_that_of_every_axis(here: Plant) -> None:
    here.take(axes(1))
    here.crash()
    here.take(sent("presence/S-1", {"state": "down"}, 2))
    assert {sensor.id: sensor.state.status for sensor in here.pipeline.sensors} == {
        "S-1-x": "offline", "S-1-y": "offline", "S-1-z": "offline"
    }  # fmt: skip


def test_what_could_not_be_written_is_written_with_what_it_has_to_remember(
    here: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = here.journal.write

    def full(_batch: object) -> None:
        raise JournalUnavailableError("database or disk is full")

    monkeypatch.setattr(here.journal, "write", full)
    messages = [block(0), axes(1)]
    with pytest.raises(JournalUnavailableError):
        here.pipeline.process(messages, NOON_NS)
    monkeypatch.setattr(here.journal, "write", write)
    here.pipeline.process(messages, NOON_NS)
    assert len(here.contents()["readings"]) == 3
    here.crash()
    here.take(block(1))
    assert len(here.journal.waveforms_to_measure(10)) == 1


def test_an_input_that_raises_makes_a_dead_letter_and_the_next_message_is_read(
    here: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError("\ud800")

    with monkeypatch.context() as patched:
        patched.setattr(Family, "read", defect)
        here.take(axes(1))
    here.take(axes(2))
    (letter,) = here.journal.dead_letters([], 0, 10**6)
    assert letter[1].payload == axes(1).payload
    assert here.contents()["dead letters"] == {"not_understood": 1}
    assert len(here.contents()["readings"]) == 3


def test_a_waveform_that_the_disk_has_damaged_gives_no_reading_and_does_not_stop_the_next(here: Plant) -> None:
    here.take(block(0), block(1), block(0, second=9), block(1, second=9))
    with closing(sqlite3.connect(here.path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE waveforms SET samples = x'000000000000c07f' WHERE seq = (SELECT min(seq) FROM waveforms)"
        )
    asyncio.run(measured(here, 1))
    assert len(here.contents()["readings"]) == 1


def test_what_an_input_makes_the_best_of_is_counted_and_told_once(here: Plant) -> None:
    boot = {"kind": "features", "at": 12_345, "rms": {"x": 1.0}, "t": 41.5}
    first = here.take(*(sent("maker/pump-7/S-1/data", boot, second) for second in range(3)))
    again = here.take(sent("maker/pump-7/S-1/data", boot, 4))
    (remark,) = here.pipeline.inputs_heard()[0].remarks
    assert "the receive time counts" in remark
    assert (first.news, again.news) == ([("three axes", remark)], [])
    assert (first.remarks, again.remarks) == ({"three axes": 3}, {"three axes": 1})
    assert here.pipeline.inputs_heard()[0].remarks[remark] == 4


def test_invented_remarks_are_counted_together(here: Plant) -> None:
    told = range(2 * MAX_REMARKS)
    uptimes = [{"kind": "features", "at": second, "rms": {"x": 1.0}} for second in told]
    here.take(*(sent("maker/p/S-1/data", uptimes[second], second) for second in told))
    found = here.pipeline.inputs_heard()[0]
    assert sum(found.remarks.values()) == len(told)
    assert len(found.remarks) == MAX_REMARKS + 1


def test_what_a_dead_letter_says_is_no_remark_beside_it(here: Plant) -> None:
    here.take(sent("blocks/W-1", {"at": NOON_NS // SECOND, "id": "c", "part": 7, "of": 2, "block": [1.0]}))
    assert here.contents()["dead letters"] == {"not_understood": 1}
    assert all(not each.remarks for each in here.pipeline.inputs_heard())
