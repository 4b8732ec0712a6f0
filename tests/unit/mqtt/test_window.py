"""Batches follow as quickly as the broker's own limit of messages under way asks for, once it shows."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.mqtt.window import Window

EMQX = 32


def test_it_waits_in_proportion_to_what_is_allowed() -> None:
    assert Window(2000).pace == Window(65535).pace == 0.01
    assert Window(100).pace == 0.0005


def test_a_broker_that_stops_at_a_number_is_noticed() -> None:
    window = Window(2000)
    for _ in range(4):
        assert window.pace == 0.01
        window.take(EMQX, ended_in_silence=True)
    assert window.pace == Window(EMQX).pace
    window.take(5, ended_in_silence=True)
    assert window.pace == Window(EMQX).pace, "the end of a backlog says nothing"
    window.take(EMQX + 1, ended_in_silence=False)
    assert window.pace == 0.01, "it was not the limit"


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()).filter(lambda each: not each[1] or each[0] < 10)))
def test_whatever_keeps_coming_is_no_limit(batches: list[tuple[int, bool]]) -> None:
    window = Window(2000)
    for count, silent in batches:
        window.take(count, ended_in_silence=silent)
    assert window.pace == 0.01


@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans())), st.integers(1, 2000))
def test_it_never_waits_longer_than_for_what_was_asked(batches: list[tuple[int, bool]], allowed: int) -> None:
    window = Window(allowed)
    for count, silent in batches:
        window.take(count, ended_in_silence=silent)
        assert window.pace <= Window(allowed).pace
