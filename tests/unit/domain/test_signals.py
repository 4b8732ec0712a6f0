"""What machines and sensors say of themselves: topics, strict decoding, and only what is new is a fact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.native import REASONS
from gateway.domain.inputs.status import Signals, state_topics, status_topics
from gateway.domain.model.assets import MACHINE_STATE, SENSOR_STATUS, MachineState, SensorStatus
from gateway.domain.model.events import Message, Rejected
from tests.readings import SIGNALS, TEMPLATE

PLACE = "plant-1", "hall-2", "pump-7"
STATE, STATUS = "vibration/plant-1/hall-2/pump-7/state", "vibration/plant-1/hall-2/pump-7/VB-1/status"


def read(topic: str, payload: bytes) -> MachineState | SensorStatus | Rejected | None:
    return SIGNALS.read(Message(topic, payload, 0))


@pytest.mark.parametrize(
    ("readings", "states", "statuses"),
    [
        ([TEMPLATE], ["vibration/{site}/{area}/{machine}/state"], [TEMPLATE.replace("reading", "status")]),
        (["a/{machine}/{sensor}/r", "b/{machine}/{sensor}/r"], ["a/{machine}/state", "b/{machine}/state"],
         ["a/{machine}/{sensor}/status", "b/{machine}/{sensor}/status"]),
        (["a/{machine}/{sensor}/{axis}/r"], ["a/{machine}/state"], []),
        (["a/{machine}/{sensor}"], [], []),
        (["a/{machine}/{sensor}/{kind}"], ["a/{machine}/state"], []),
        (["{sensor}/{machine}/r"], [], []),
        (["a/{sensor}/status"], [], []),
        (["a/b"], [], []),
    ],
)  # fmt: skip
def test_they_are_beside_the_readings_and_never_the_same(
    readings: list[str], states: list[str], statuses: list[str]
) -> None:
    assert (state_topics(readings), status_topics(readings)) == (states, statuses)


def test_what_can_be_used() -> None:
    payload = b'{"state": "running", "timestamp": "2026-03-01T12:00:00Z", "by": "plc"}'
    assert read(STATE, payload) == MachineState(PLACE, "running")
    assert read(STATE, b'{"state": "stopped"}') == MachineState(PLACE, "stopped")
    assert read(STATE, b"") == MachineState(PLACE, "")
    assert read(STATUS, b"online") == SensorStatus("VB-1", "online", PLACE)
    assert read(STATUS, b"offline") == SensorStatus("VB-1", "offline", PLACE)
    assert read("vibration/plant-1/hall-2/pump-7/VB-1/reading", b"{}") is None
    assert Signals().read(Message(STATE, payload, 0)) is None


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        (STATE, b"running", "not_json"),
        (STATE, b"\xff", "not_json"),
        (STATE, b'{"x": ' * 100_000, "too_deep"),
        (STATE, b'"running"', "invalid"),
        (STATE, b"{}", "invalid"),
        (STATE, b'{"state": 1}', "invalid"),
        (STATE, b'{"state": ""}', "invalid"),
        (STATE, b'{"state": "a\\nb"}', "invalid"),
        (STATE, b'{"state": "' + b"x" * 129 + b'"}', "invalid"),
        (STATE, b'{"state": "running", "timestamp": "yesterday"}', "invalid"),
        (STATUS, b"", "empty"),
        (STATUS, b"Online", "invalid"),
        (STATUS, b"online\n", "invalid"),
        (STATUS, b'"online"', "invalid"),
    ],
)
def test_what_cannot_is_a_dead_letter_with_the_reason(topic: str, payload: bytes, reason: str) -> None:
    found = read(topic, payload)
    assert isinstance(found, Rejected)
    assert (found.reason, found.payload) == (reason, payload)
    assert found.detail


@given(st.sampled_from([STATE, STATUS]), st.binary(max_size=60))
def test_nothing_raises(topic: str, payload: bytes) -> None:
    found = read(topic, payload)
    assert not isinstance(found, Rejected) or found.reason in REASONS


def test_the_facts_have_names_that_stay() -> None:
    assert (MACHINE_STATE, SENSOR_STATUS) == ("MachineStateChanged", "SensorStatusChanged")
