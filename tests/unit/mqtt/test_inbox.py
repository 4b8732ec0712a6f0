from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.model.events import Message
from gateway.mqtt.inbox import FULL_BYTES, MESSAGE_BYTES, Inbox


def chunk(*numbers: int) -> list[Message]:
    return [Message("t", b"", number) for number in numbers]


@given(st.lists(st.tuples(st.integers(1, 1500), st.integers(0, 5_000_000)), max_size=20))
def test_everything_comes_out_once_in_order_and_within_bounds(sizes: list[tuple[int, int]]) -> None:
    inbox = Inbox()
    count = 0
    for messages, size in sizes:
        inbox.put(chunk(*range(count, count + messages)), size)
        count += messages
    taken = []
    while inbox:
        batch = inbox.take()
        assert 0 < len(batch) <= 2000
        taken += [message.received_ns for message in batch]
    assert taken == list(range(count))
    assert not inbox.is_full
    assert inbox.take() == []


def test_a_batch_has_four_megabytes_or_one_chunk() -> None:
    inbox = Inbox()
    for number in range(4):
        inbox.put(chunk(number), 2_000_000)
    inbox.put(chunk(4), 20_000_000)
    assert [len(inbox.take()) for _ in range(3)] == [2, 2, 1]


def test_it_is_full_by_bytes() -> None:
    inbox = Inbox()
    states = []
    for size in (FULL_BYTES - MESSAGE_BYTES, 0):
        inbox.put(chunk(1), size)
        states.append(inbox.is_full)
    inbox.take()
    assert [*states, inbox.is_full] == [False, True, False]
