"""What a reading says is what its body says, which is all that the journal keeps of it."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.native import EVENT
from gateway.domain.inputs.results import Reading, event_of, moment_of
from gateway.domain.inputs.times import EARLIEST_US, LATEST_US
from gateway.domain.model.quantities import QUANTITIES

FINITE = st.floats(-1e300, 1e300)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
MEASURED = st.fixed_dictionaries(
    {"sensorId": TEXTS, "unit": TEXTS, "sensorUnit": TEXTS},
    optional={"vibrationLevel": FINITE} | {quantity.wire: FINITE for quantity in QUANTITIES},
)
TIMES = st.integers(EARLIEST_US, LATEST_US - 1)


@given(TIMES, TEXTS, MEASURED)
def test_an_event_is_what_its_body_is_decoded_to(time_us: int, event_id: str, data: dict[str, Any]) -> None:
    event, body = event_of(moment_of(time_us), event_id, data)
    assert EVENT.decode(body) == event
    assert Reading("input", "vb", None, {}, "message", event, body).time_us == time_us


@given(TIMES, TEXTS, MEASURED)
def test_a_body_has_what_was_measured_and_no_more(time_us: int, event_id: str, data: dict[str, Any]) -> None:
    said = msgspec.json.decode(event_of(moment_of(time_us), event_id, data)[1])
    assert list(said) == ["eventType", "timestamp", "eventId", "data"]
    assert (said["eventType"], said["eventId"], said["data"]) == ("VibrationRecorded", event_id, data)
    assert datetime.fromisoformat(said["timestamp"]) == moment_of(time_us).astimezone(UTC)
