import msgspec
import pytest

from gateway.domain.baseline import Baseline, Learning
from gateway.domain.events import Level
from gateway.domain.sensors import Limits, SensorState
from gateway.journal.states import decode_state, encode_state


def full_state() -> SensorState:
    baseline = Baseline(4.0, "provisional", version=3, readings=40, from_ns=-1, to_ns=2**62)
    learning = Learning(first_ns=5)
    for number in range(1000):
        learning.add(number / 3)
    return SensorState(
        newest_us=-62_135_596_800_000_000,
        at_newest=2,
        seen_us=253_402_300_799_999_999,
        severity=Level.CRITICAL,
        on_warning=3,
        learning=learning,
        learned=baseline,
        event_baseline=0.1 + 0.2,
        limits=Limits(baseline, 6.4, 10.0, 5.76),
    )


def test_a_state_comes_back_exactly() -> None:
    state = full_state()
    found = decode_state(encode_state(state))
    assert found == state
    assert found.learning is not None
    assert state.learning is not None
    assert found.learning.samples == state.learning.samples
    assert found.severity is Level.CRITICAL


def test_nothing_known_is_the_state_of_a_new_sensor() -> None:
    assert decode_state(None) == SensorState()


def test_a_state_of_a_newer_or_an_older_program_can_be_read() -> None:
    fields = msgspec.msgpack.decode(encode_state(full_state()))
    fields["invented_later"] = [1, 2]
    del fields["at_newest"]
    found = decode_state(msgspec.msgpack.encode(fields))
    assert (found.at_newest, found.event_baseline) == (0, 0.1 + 0.2)


def test_other_types_are_refused() -> None:
    state = SensorState()
    state.event_baseline = object()  # type: ignore[assignment] # the mistake in hand
    with pytest.raises(NotImplementedError, match="object"):
        encode_state(state)
