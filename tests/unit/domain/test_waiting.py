"""Readings that wait for the watermark: in the order of their time, each for a few comparisons however many wait."""

import math
import random

import pytest

from gateway.domain.detection.state import SensorState, Waiting
from gateway.domain.detection.timeline import hold, release
from gateway.journal.sqlite.codec import decode_state, encode_state


def waiting(event_us: int) -> Waiting:
    return Waiting(event_us, f"e{event_us}", "", 4.0, "m/s²")


def shuffled(count: int) -> list[Waiting]:
    times = list(range(count))
    random.Random(1).shuffle(times)
    return [waiting(time) for time in times]


def test_they_come_out_in_order_up_to_a_time_and_after_a_restart() -> None:
    state = SensorState()
    for each in shuffled(100):
        hold(state, each)
    assert [each.event_us for each in release(state, 41)] == list(range(42))
    assert state.released_us == 41
    state = decode_state(encode_state(state))
    assert max(state.waiting).event_us == 99
    assert [each.event_us for each in release(state, 10**9)] == list(range(42, 100))
    assert not state.waiting
    assert release(state, 10**9) == []
    assert state.released_us == 99


def test_what_an_older_program_kept_in_order_is_taken_up() -> None:
    state = SensorState(waiting=[waiting(time) for time in range(10)])
    hold(state, waiting(-1))
    assert [each.event_us for each in release(state, 3)] == [-1, 0, 1, 2, 3]


def test_each_reading_costs_the_logarithm_of_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    count, compared = 20_000, 0
    less = Waiting.__lt__

    def counted(one: Waiting, other: Waiting) -> bool:
        nonlocal compared
        compared += 1
        return less(one, other)

    monkeypatch.setattr(Waiting, "__lt__", counted)
    state = SensorState()
    for each in shuffled(count):
        hold(state, each)
    for until in range(count):
        release(state, until)
    assert compared <= 3 * count * math.log2(count)
