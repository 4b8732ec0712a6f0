"""The laws of the pipeline: what holds however messages come. Through a real journal."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.alerting.alert import CLEARED, ESCALATED, RAISED
from gateway.domain.detection.rules import Rules
from gateway.domain.model.events import Message
from gateway.ingest import processor as pipeline_module
from tests.examples import examples
from tests.readings import FIXED, SECOND, event, message, plant, split, topic_of

DAY = 86_400

# A story is a list of messages of a few sensors, with everything that can go wrong about them and about our
# own clock.

LEARNING = Rules(learning_readings=4, learning_ns=20 * SECOND, on_readings=2, off_readings=2)
levels = st.sampled_from([4.0, 4.1, 5.8, 6.3, 7.0, 9.0, 12.0, 0.0])


@st.composite
def stories(draw: st.DrawFn) -> list[Message]:
    """Messages in the order in which they arrive: mostly in order of time, some late, retained, wrong or broken."""
    story: list[Message] = []
    second = 0.0
    ours = 0.5  # how far our clock is ahead
    names = draw(st.sampled_from([["VB-1", "VB-1", "VB-2"], ["VB-1", "VB-2", "VB-3", "VB-4"]]))
    for number in range(draw(st.integers(1, 25))):
        second += draw(st.sampled_from([0, 1, 1, 1, 10]))
        ours = draw(st.sampled_from([ours] * 12 + [0.5, -3600, 2 * DAY, -50 * 365 * DAY]))
        kind = draw(st.sampled_from(["plain"] * 6 + ["late", "far", "old", "retained", "bad", "array", "moved"]))
        sensor = draw(st.sampled_from(names))
        level = draw(levels)
        state = draw(st.sampled_from([None, None, None, "stopped"]))
        own = draw(st.sampled_from([None, None, 4.0]))
        data = {"operatingState": state, "baselineVibrationLevel": own}
        moment = {"late": second - 5, "far": second + 10 * DAY, "old": second - 10 * DAY}.get(kind, second)
        body: Any = event(moment, level, sensor, id_=draw(st.sampled_from([f"e{number}", f"e{number}", None])), **data)
        if kind == "array":
            body = [body, event(moment, draw(levels), sensor, id_=f"e{number}b"), 5]
        topic = topic_of(sensor, "pump-8" if kind == "moved" else "pump-7")
        payload: Any = b"{" if kind == "bad" else body
        story.append(
            message(payload, second=second + ours, topic=topic, packet_id=number + 1, retained=kind == "retained")
        )
    return story


Setting = tuple[Rules, int, bool]


def told(
    setting: Setting, batches: Sequence[Sequence[Message]], *, crash_after: frozenset[int] = frozenset()
) -> dict[str, Any]:
    """Return what the journal holds in the end."""
    rules, lateness_ns, sensors_move = setting
    with (
        TemporaryDirectory() as directory,
        plant(Path(directory), rules, lateness_ns, sensors_move=sensors_move) as here,
    ):
        for number, batch in enumerate(batches):
            here.take(*batch)
            if number in crash_after:
                here.crash()
        return here.contents()


def without_dead_letters(contents: dict[str, Any]) -> dict[str, Any]:
    """A bad message that is sent twice without saying so is two; and each takes a place in the sequence."""
    return {
        "readings": [replace(row, seq=0) for row in contents["readings"]],
        "facts": [fact for _, fact in contents["facts"]],
        "alerts": contents["alerts"],
        "sensors": contents["sensors"],
    }


sizes = st.lists(st.integers(1, 6), max_size=20)
set_to = st.tuples(st.sampled_from([FIXED, LEARNING]), st.sampled_from([0, 0, 6 * SECOND]), st.booleans())
laws = examples(40)


@laws
@given(stories(), sizes, set_to)
def test_however_messages_are_split_into_batches_the_result_is_the_same(
    story: list[Message], batch_sizes: list[int], setting: Setting
) -> None:
    assert told(setting, split(story, batch_sizes)) == told(setting, [[one] for one in story])


@laws
@given(stories(), sizes, set_to, st.data())
def test_messages_that_are_sent_again_change_nothing(
    story: list[Message], batch_sizes: list[int], setting: Setting, data: st.DataObject
) -> None:
    """As a broker does it: after any message, some of the last ones again, in order and marked as such."""
    again: list[Message] = []
    for number in range(1, len(story) + 1):
        again.append(story[number - 1])
        first = max(0, number - data.draw(st.sampled_from([0, 0, 1, 3, number])))
        again += [replace(one, duplicate=True, generation=number) for one in story[first:number]]
    assert told(setting, split(again, batch_sizes)) == told(setting, [story])


@laws
@given(stories(), sizes, set_to)
def test_everything_published_twice_gives_the_same_readings_facts_and_alerts(
    story: list[Message], batch_sizes: list[int], setting: Setting
) -> None:
    twice = [replace(one, packet_id=one.packet_id + number) for one in story for number in (0, 1000)]
    assert without_dead_letters(told(setting, split(twice, batch_sizes))) == without_dead_letters(
        told(setting, [story])
    )


@laws
@given(stories(), sizes, set_to, st.frozensets(st.integers(0, 10), max_size=4), st.sampled_from([1, 5, 50_000]))
def test_after_a_crash_everything_goes_on_as_if_nothing_had_happened(
    story: list[Message], batch_sizes: list[int], setting: Setting, crashes: frozenset[int], snapshot_every: int
) -> None:
    batches = split(story, batch_sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_module, "SNAPSHOT_READINGS", snapshot_every)
        assert told(setting, batches, crash_after=crashes) == told(setting, [story])


@laws
@given(stories(), set_to)
def test_no_two_readings_of_a_sensor_have_the_same_time(story: list[Message], setting: Setting) -> None:
    """The second would overwrite the first in InfluxDB."""
    readings = told(setting, [story])["readings"]
    assert len({(row.sensor_id, row.time_ns) for row in readings}) == len(readings)


@laws
@given(stories(), set_to)
def test_every_alert_has_a_proper_life(story: list[Message], setting: Setting) -> None:
    contents = told(setting, [story])
    open_alerts: dict[str, str] = {}
    for _, fact in contents["facts"]:
        data = fact.data
        if fact.type == RAISED:
            assert data["sensorId"] not in open_alerts
            open_alerts[data["sensorId"]] = data["id"]
        elif fact.type in {ESCALATED, CLEARED}:
            assert open_alerts[data["sensorId"]] == data["id"]
            if fact.type == CLEARED:
                del open_alerts[data["sensorId"]]
    stored = {alert.sensor_id: alert.id for alert in contents["alerts"] if alert.state == "active"}
    assert stored == open_alerts
