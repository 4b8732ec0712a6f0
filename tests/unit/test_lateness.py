"""Late, early and shuffled readings: what `detection.lateness` promises."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.alerting.liveness import TIME_PASSED, Reception
from gateway.domain.model.events import Message
from gateway.domain.model.reading import Flag
from tests.examples import examples
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading

LATENESS = 10 * SECOND
LEVELS = st.lists(st.sampled_from([4.0, 4.2, 6.9, 7.5, 11.0]), min_size=5, max_size=40)


def conclusions(here: Plant) -> dict[str, Any]:
    """Return what must not depend on the order of arrival."""
    contents = here.contents()
    return {
        "readings": sorted((row.sensor_id, row.event_id, row.time_ns, row.level) for row in contents["readings"]),
        "facts": [fact for _, fact in contents["facts"]],
        "alerts": contents["alerts"],
        "states": [
            replace(sensor.state, limits=None, gaps=[], heard_ns=0, heard_time_ns=0)
            for sensor in here.pipeline._engine.sensors.values()  # noqa: SLF001 - it is what is compared; limits are worked out anew when needed, the pauses are those between arrivals
        ],
    }


def shuffled(readings: list[Message], data: st.DataObject, seconds: int) -> list[Message]:
    """Let every reading come up to so many seconds later than its own time says."""
    delays = data.draw(st.lists(st.integers(0, seconds), min_size=len(readings), max_size=len(readings)))
    order = sorted(range(len(readings)), key=lambda index: (index + delays[index], index))
    return [readings[index] for index in order]


def run(messages: list[Message], lateness_ns: int, crash_after: int | None = None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, plant(Path(folder) / "plant", lateness_ns=lateness_ns) as here:
        for number, each in enumerate(messages):
            here.take(each)
            if number == crash_after:
                here.crash()
        return conclusions(here)


@examples(40)
@given(LEVELS, st.data())
def test_any_order_within_the_lateness_gives_the_same(levels: list[float], data: st.DataObject) -> None:
    in_order = [reading(second, level) for second, level in enumerate(levels)]
    last = reading(1000)  # whatever came in whichever order, it is behind the watermark now
    assert run([*shuffled(in_order, data, 9), last], LATENESS) == run([*in_order, last], LATENESS)


@examples(20)
@given(LEVELS, st.data())
def test_a_crash_in_between_changes_nothing(levels: list[float], data: st.DataObject) -> None:
    in_order = [reading(second, level) for second, level in enumerate(levels)]
    order = shuffled(in_order, data, 9)
    crash_after = data.draw(st.integers(0, len(order) - 1))
    assert run(order, LATENESS, crash_after) == run(order, LATENESS)


@examples(20)
@given(LEVELS, st.data())
def test_without_lateness_all_is_stored_and_the_late_ones_are_marked(levels: list[float], data: st.DataObject) -> None:
    order = shuffled([reading(second, level) for second, level in enumerate(levels)], data, 9)
    with tempfile.TemporaryDirectory() as folder, plant(Path(folder) / "plant") as here:
        for each in order:
            here.take(each)
        rows = here.contents()["readings"]
    assert len(rows) == len(levels)
    newest = -1
    for row in rows:
        assert bool(row.flags & Flag.LATE) == (row.time_ns < newest)
        newest = max(newest, row.time_ns)


def test_a_backlog_in_order_is_judged(tmp_path: Path) -> None:
    with plant(tmp_path / "plant") as here:
        here.take(reading(0))
        hours = 20 * 3600
        here.take(*(message(event(second, 12.0), second=hours) for second in range(1, 4)))
        assert here.changes() == [("AlertRaised", "critical")]


def test_what_has_waited_for_too_long_is_judged_even_if_nothing_newer_comes(tmp_path: Path) -> None:
    with plant(tmp_path / "plant", lateness_ns=LATENESS) as here:
        here.take(*(reading(second, 12.0) for second in range(3)))
        here.pipeline.pass_time(NOON_NS + 5 * SECOND, Reception())
        assert here.changes() == []
        here.pipeline.pass_time(NOON_NS + 60 * SECOND, Reception())
        assert here.changes() == [("AlertRaised", "critical")]
        assert here.contents()["facts"][0][1].type == TIME_PASSED
        before = conclusions(here)["states"]
        here.crash()
        assert conclusions(here)["states"] == before
        assert here.take(reading(1.5, 4.0)).late == 1
