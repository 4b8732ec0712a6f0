"""Whose clock is wrong: a sensor's or ours."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.detection.gateway_clock import FUTURE_TOLERANCE_US, WINDOW, OurClock

HOUR_US = 3600 * 10**6
DAY_US = 24 * HOUR_US
NOW_US = 1_770_000_000_000_000


def heard(clock: OurClock, offsets: list[int], *, now_us: int = NOW_US, known: bool = True) -> list[bool]:
    """Let each sensor publish once, so far ahead of our clock; return for which of them ours is the suspect."""
    return [
        clock.is_suspect(sensor, now_us + offset, now_us, known=known) for sensor, offset in enumerate(offsets, start=1)
    ]


def test_who_agrees_with_us_gives_no_reason_for_suspicion() -> None:
    assert not any(heard(OurClock(DAY_US), [0, FUTURE_TOLERANCE_US, -DAY_US, 5]))


def test_one_sensor_with_a_wrong_clock_is_the_suspect_itself() -> None:
    clock = OurClock(DAY_US)
    for _ in range(10):
        assert not any(heard(clock, [0, 0, 0, 10 * DAY_US]))


def test_where_most_are_ahead_alike_ours_is_behind() -> None:
    clock = OurClock(DAY_US)
    heard(clock, [2 * DAY_US] * 5)
    assert all(heard(clock, [2 * DAY_US] * 5))


def test_most_that_disagree_in_different_ways_prove_nothing() -> None:
    clock = OurClock(DAY_US)
    heard(clock, [3 * DAY_US, 30 * DAY_US, 300 * DAY_US, 0])
    assert not any(heard(clock, [3 * DAY_US, 30 * DAY_US, 300 * DAY_US, 0]))


def test_two_sensors_are_too_few_to_overrule_us() -> None:
    clock = OurClock(DAY_US)
    for _ in range(10):
        assert not any(heard(clock, [2 * DAY_US] * 2))


def test_new_sensors_that_are_behind_may_have_booted_in_1970_themselves() -> None:
    clock = OurClock(DAY_US)
    for _ in range(3):
        assert not any(heard(clock, [-1000 * DAY_US] * 5, known=False))
    assert all(heard(clock, [-1000 * DAY_US] * 5, known=True)[2:])


def test_a_step_back_of_ours_is_noticed_at_once_even_by_one_sensor() -> None:
    clock = OurClock(DAY_US)
    heard(clock, [0])
    assert heard(clock, [HOUR_US], now_us=NOW_US - HOUR_US) == [True]
    assert heard(clock, [0], now_us=NOW_US - HOUR_US) == [False]


def test_after_a_while_the_clock_as_it_is_counts() -> None:
    clock = OurClock(DAY_US)
    heard(clock, [0])
    for _ in range(WINDOW + 1):
        heard(clock, [0], now_us=NOW_US - HOUR_US)
    assert heard(clock, [HOUR_US], now_us=NOW_US - HOUR_US) == [False]


def test_before_this_program_was_written_no_clock_of_ours_is_right() -> None:
    clock = OurClock(DAY_US)
    for _ in range(WINDOW + 1):
        assert heard(clock, [NOW_US], now_us=HOUR_US, known=False) == [True]
    assert heard(clock, [0], now_us=HOUR_US) == [False]


offsets = st.integers(-400 * DAY_US, 400 * DAY_US) | st.sampled_from([0, DAY_US, -DAY_US, -HOUR_US, 2 * DAY_US])
arrivals = st.lists(st.tuples(st.integers(1, 5), offsets, offsets, st.booleans()), max_size=60)


@given(arrivals)
def test_who_agrees_with_us_is_never_a_reason_for_suspicion(arrivals: list[tuple[int, int, int, bool]]) -> None:
    clock = OurClock(DAY_US)
    for sensor, offset, ours, known in arrivals:
        now_us = NOW_US + ours
        suspect = clock.is_suspect(sensor, now_us + offset, now_us, known=known)
        assert not (suspect and -DAY_US <= offset <= FUTURE_TOLERANCE_US)


@given(arrivals)
def test_two_sensors_alone_never_overrule_a_clock_that_goes_on(arrivals: list[tuple[int, int, int, bool]]) -> None:
    clock = OurClock(DAY_US)
    for number, (sensor, offset, _, known) in enumerate(arrivals):
        now_us = NOW_US + number
        assert not clock.is_suspect(sensor % 2, now_us + offset, now_us, known=known)


@given(st.integers(3, 12), st.integers(FUTURE_TOLERANCE_US + 1, 400 * DAY_US), st.integers(0, 5))
def test_a_fleet_that_agrees_is_right_however_a_few_others_go(sensors: int, ahead: int, wrong: int) -> None:
    clock = OurClock(DAY_US)
    wrong = min(wrong, (sensors - 1) // 2)
    mixed = [*[ahead] * sensors, *(-(number + 300) * 2 * DAY_US for number in range(wrong))]
    heard(clock, mixed)
    assert heard(clock, mixed)[:sensors] == [True] * sensors
