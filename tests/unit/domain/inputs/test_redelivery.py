from gateway.domain.inputs.redelivery import RedeliveryWindow, digest_of
from gateway.domain.model.events import Message


def message(payload: bytes = b"1", packet_id: int = 7, *, duplicate: bool = True) -> Message:
    return Message("vib/1", payload, 0, packet_id, duplicate)


def has(window: RedeliveryWindow, of: Message) -> bool:
    return window.has(of, digest_of(of))


def test_only_the_same_content_under_the_same_packet_id_marked_as_sent_again_is_the_same_message() -> None:
    window = RedeliveryWindow([(7, digest_of(message()))], 100)
    assert has(window, message())
    assert not has(window, message(duplicate=False))
    assert not has(window, message(b"2"))
    assert not has(window, message(packet_id=8))


def test_what_is_longer_ago_than_the_window_is_another_message_that_happens_to_say_the_same() -> None:
    window = RedeliveryWindow((), 2)
    window.add(7, digest_of(message()))
    window.add(8, b"")
    assert has(window, message())
    window.add(9, b"")
    assert not has(window, message())


def test_what_came_without_a_packet_id_does_not_come_again() -> None:
    window = RedeliveryWindow([(0, digest_of(message(packet_id=0)))], 100)
    assert not has(window, message(packet_id=0))


def test_a_topic_is_a_part_of_the_content() -> None:
    assert digest_of(Message("a", b"1", 0)) != digest_of(Message("b", b"1", 0))
