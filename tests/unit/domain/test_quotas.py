"""How much of what comes in may be kept beside readings of known sensors."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.engine.quotas import HOUR_NS, IN_ALL, MAX_TOPICS, MINUTE_NS, NEW, STATES, Quotas, Usage


def test_so_many_new_sensors_a_minute() -> None:
    usage = Usage(Quotas(new_sensors=2))
    assert [usage.refuse_sensor(f"S-{n}", n, n) for n in range(4)] == [None, None, NEW, NEW]
    assert usage.refuse_sensor("S-4", 2, MINUTE_NS) is None


def test_so_many_sensors_in_all() -> None:
    usage = Usage(Quotas(sensors=2))
    assert [usage.refuse_sensor(f"S-{known}", known, known * MINUTE_NS) for known in range(3)] == [None, None, IN_ALL]


def test_a_sensor_that_the_configuration_names_is_never_over() -> None:
    usage = Usage(Quotas(sensors=1, new_sensors=1), frozenset({"VB-1"}))
    assert [usage.refuse_sensor(name, 5, 0) for name in ("S-1", "VB-1", "VB-1")] == [IN_ALL, None, None]


def test_so_many_machines_without_a_sensor() -> None:
    usage = Usage(Quotas(machine_states=2))
    assert [usage.refuse_state(remembered) for remembered in range(3)] == [None, None, STATES]


def test_so_many_dead_letters_of_a_topic_within_an_hour() -> None:
    usage = Usage(Quotas(dead_letters=2))
    assert [usage.refuse_letter("a", 0) for _ in range(3)] == [False, False, True]
    assert not usage.refuse_letter("b", 1), "another topic's"
    assert not usage.refuse_letter("a", HOUR_NS)


def test_very_many_topics_share_a_count() -> None:
    usage = Usage(Quotas(dead_letters=2))
    for number in range(MAX_TOPICS):
        usage.refuse_letter(f"t/{number}", 0)
    assert [usage.refuse_letter(f"u/{number}", 0) for number in range(3)] == [False, False, True]
    assert not usage.refuse_letter("t/0", 0)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3 * MINUTE_NS)), max_size=60), st.integers(1, 5))
def test_no_minute_ever_has_more_than_allowed(attempts: list[tuple[int, int]], most: int) -> None:
    usage, taken = Usage(Quotas(new_sensors=most)), dict[int, int]()
    for name, now_ns in sorted(attempts, key=lambda each: each[1]):
        if usage.refuse_sensor(str(name), 0, now_ns) is None:
            taken[now_ns // MINUTE_NS] = taken.get(now_ns // MINUTE_NS, 0) + 1
    assert max(taken.values(), default=0) <= most
