from array import array

import msgspec
import pytest
from msgspec.structs import replace

from gateway.domain.detection.baseline import Baseline, Learning, Spread
from gateway.domain.detection.indicator import IndicatorState
from gateway.domain.detection.limits import limits
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Known, SensorState
from gateway.domain.model.events import SeverityRank
from gateway.journal.sqlite.codec import decode_state, decode_tags, encode_state


def full_state() -> SensorState:
    baseline = Baseline(4.0, "provisional", version=3, readings=40, from_ns=-1, to_ns=2**62)
    learning = Learning(first_ns=5)
    for number in range(1000):
        learning.add(number / 3)
    return SensorState(
        newest_us=-62_135_596_800_000_000,
        at_newest=2,
        seen_us=253_402_300_799_999_999,
        severity=SeverityRank.CRITICAL,
        tallies={"level": IndicatorState(severity=SeverityRank.CRITICAL, off=2)},
        others={"fast": Known(replace(baseline, state="fast", smoothed=Spread(4.0, 0.1, 20.0)))},
        learning=learning,
        learned=baseline,
        event_baseline=0.1 + 0.2,
        limits=limits(baseline, Rules()),
        gaps=array("q", [1, 2**62]),
    )


def test_a_state_comes_back_exactly() -> None:
    state = full_state()
    found = decode_state(encode_state(state))
    assert state.limits is not None
    assert found == replace(state, limits=None), "the limits follow from the rest"
    assert found.learning is not None
    assert state.learning is not None
    assert found.learning.samples == state.learning.samples
    assert found.severity is SeverityRank.CRITICAL


def test_nothing_known_is_the_state_of_a_new_sensor() -> None:
    assert decode_state(None) == SensorState()


def test_a_state_of_a_newer_or_an_older_program_can_be_read() -> None:
    fields = msgspec.msgpack.decode(encode_state(full_state()))
    fields["invented_later"] = [1, 2]
    del fields["at_newest"]
    found = decode_state(msgspec.msgpack.encode(fields))
    assert (found.at_newest, found.event_baseline) == (0, 0.1 + 0.2)


def test_a_snapshot_of_version_0_1_can_be_read() -> None:
    """It kept limits, counts of series, and no smoothed levels."""
    fields = msgspec.msgpack.decode(encode_state(full_state()))
    baseline = fields["learned"]
    for name in ("tallies", "others", "operating_state", "smooth", "bounds"):
        fields.pop(name, None)  # what is as it is at first is not written
    del fields["learning"]["smoothed"]
    fields |= {"on_warning": 3, "limits": {"baseline": baseline, "warning": 6.4, "critical": 10.0, "clear": 5.76}}
    found = decode_state(msgspec.msgpack.encode(fields))
    assert (found.severity, found.limits, found.tallies) == (SeverityRank.CRITICAL, None, None)
    assert found.learning is not None
    assert found.learning.smoothed == found.learning.samples[1::2]


def test_pauses_are_kept_as_a_list_of_numbers_as_in_the_first_versions() -> None:
    encoded = encode_state(full_state())
    assert msgspec.msgpack.decode(encoded)["gaps"] == [1, 2**62]
    assert decode_state(encoded).gaps == array("q", [1, 2**62])


def test_words_that_many_sensors_share_are_there_once() -> None:
    one, other = (decode_tags(f'{{"machine":"pump 7","sensor":"{name}"}}') for name in "ab")
    assert one == {"machine": "pump 7", "sensor": "a"}
    assert one["machine"] is other["machine"]


def test_other_types_are_refused() -> None:
    state = SensorState()
    state.event_baseline = object()  # type: ignore[assignment] # the mistake in hand
    with pytest.raises(NotImplementedError, match="object"):
        encode_state(state)
