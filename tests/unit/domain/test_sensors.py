"""When a reading belongs: the rules of clocks and order."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.detection.gateway_clock import FUTURE_TOLERANCE_US
from gateway.domain.detection.state import SensorState
from gateway.domain.detection.timeline import EARLIEST_US, Clocks, classify_timestamp
from gateway.domain.model.reading import Flag

HOUR_US = 3600 * 1_000_000
DAY_US = 24 * HOUR_US
NOW_US = 1_770_000_000_000_000
YEAR_1_US, YEAR_9999_US = -62_135_596_800_000_000, 253_402_300_799_999_999


def put(state: SensorState, event_us: int, now_us: int = NOW_US, *, retained: bool = False) -> tuple[int, int]:
    return classify_timestamp(state, event_us, now_us * 1000, Clocks(DAY_US), retained=retained)


def started(event_us: int = NOW_US) -> SensorState:
    state = SensorState()
    assert put(state, event_us, event_us) == (event_us * 1000, 0)
    return state


def test_a_time_that_continues_the_timeline_is_believed_however_old_it_is() -> None:
    state = started(NOW_US - 400 * DAY_US)
    assert put(state, NOW_US - 300 * DAY_US) == ((NOW_US - 300 * DAY_US) * 1000, 0)
    assert put(state, NOW_US - 1) == ((NOW_US - 1) * 1000, 0)


def test_a_timeline_may_begin_as_far_back_as_the_tolerance() -> None:
    assert put(SensorState(), NOW_US - DAY_US) == ((NOW_US - DAY_US) * 1000, 0)


def test_one_that_begins_further_back_is_replaced_by_the_receive_time() -> None:
    state = SensorState()
    time_ns, flags = put(state, NOW_US - DAY_US - 1)
    assert (time_ns // 1000, flags) == (NOW_US, Flag.CLOCK_REPLACED)
    assert state.newest_us is None


def test_behind_its_newest_a_reading_is_late_and_keeps_its_time() -> None:
    state = started()
    assert put(state, NOW_US - 1) == ((NOW_US - 1) * 1000, Flag.LATE)
    assert put(state, NOW_US - DAY_US) == ((NOW_US - DAY_US) * 1000, Flag.LATE)
    assert state.newest_us == NOW_US


def test_one_that_jumps_back_further_than_the_tolerance_is_replaced() -> None:
    state = started()
    time_ns, flags = put(state, NOW_US - DAY_US - 1, NOW_US + HOUR_US)
    assert (time_ns // 1000, flags) == (NOW_US + HOUR_US, Flag.CLOCK_REPLACED)
    assert state.newest_us == NOW_US


def test_the_future_begins_after_five_minutes() -> None:
    state = started()
    soon = NOW_US + FUTURE_TOLERANCE_US
    assert put(state, soon) == (soon * 1000, 0)
    time_ns, flags = put(state, soon + 1)
    assert (time_ns // 1000, flags) == (NOW_US, Flag.CLOCK_REPLACED)
    assert state.newest_us == soon


def test_a_wrong_clock_does_not_spoil_the_readings_after_it_is_set_right() -> None:
    state = started()
    put(state, YEAR_9999_US)
    assert put(state, NOW_US + 1) == ((NOW_US + 1) * 1000, 0)


def test_a_retained_reading_is_marked_keeps_its_time_and_moves_nothing() -> None:
    for state in (SensorState(), started()):
        newest = state.newest_us
        time_ns, flags = put(state, NOW_US - 40 * DAY_US, retained=True)
        assert (time_ns // 1000, flags) == (NOW_US - 40 * DAY_US, Flag.RETAINED)
        assert state.newest_us == newest


def test_a_retained_reading_from_the_future_is_both() -> None:
    time_ns, flags = put(SensorState(), NOW_US + DAY_US, retained=True)
    assert (time_ns // 1000, flags) == (NOW_US, Flag.RETAINED | Flag.CLOCK_REPLACED)


def test_readings_of_the_same_time_are_a_nanosecond_apart() -> None:
    state = started()
    assert [put(state, NOW_US)[0] for _ in range(3)] == [NOW_US * 1000 + number for number in (1, 2, 3)]
    assert put(state, NOW_US + 1) == ((NOW_US + 1) * 1000, 0)


def test_a_sensor_whose_clock_stands_still_gives_distinct_times() -> None:
    state = SensorState()
    times = [put(state, 0)[0] for _ in range(5)]
    assert len(set(times)) == 5
    assert all(time // 1000 == NOW_US for time in times)


times_us = (
    st.integers(YEAR_1_US, YEAR_9999_US)
    | st.integers(NOW_US - 3 * DAY_US, NOW_US + HOUR_US)
    | st.integers(NOW_US - 2, NOW_US + 2)
    | st.sampled_from([EARLIEST_US - 1, EARLIEST_US, NOW_US - DAY_US, NOW_US + FUTURE_TOLERANCE_US])
)


@given(st.lists(st.tuples(times_us, st.booleans()), max_size=30), st.sampled_from([0, DAY_US, 10**9 * DAY_US]))
def test_every_time_fits_into_64_bits_and_no_believed_time_goes_back(
    arrivals: list[tuple[int, bool]], tolerance_us: int
) -> None:
    state = SensorState()
    newest = None
    for event_us, retained in arrivals:
        time_ns, flags = classify_timestamp(state, event_us, NOW_US * 1000, Clocks(tolerance_us), retained=retained)
        assert -(2**63) <= time_ns < 2**63
        assert bool(flags & Flag.RETAINED) == retained
        assert time_ns // 1000 == (NOW_US if flags & Flag.CLOCK_REPLACED else event_us)
        if flags == 0:
            assert newest is None or time_ns > newest
            newest = time_ns
        assert state.seen_us is not None
        assert state.seen_us >= event_us
