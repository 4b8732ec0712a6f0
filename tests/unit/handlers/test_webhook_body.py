import base64
import json
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from gateway.handlers.webhook import payload, signature
from tests.notifications import CRITICAL, saying


def test_the_signature_is_that_of_the_standards_own_example() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_body_names_its_fields_as_every_interface_does() -> None:
    event = json.loads(payload(CRITICAL, UTC))
    assert list(event) == ["type", "timestamp", "data"]
    assert not [name for name in event["data"] if name.endswith("Ns")]
    assert {"alertId", "sensorId", "openedAt", "occurredAt", "pageUrl", "grouped", "count"} <= event["data"].keys()


@given(st.text(st.characters(), max_size=500))
def test_any_text_makes_json_of_one_inert_line(text: str) -> None:
    body = payload(saying(text), UTC).decode()
    assert body.isprintable()
    assert max(len(value) for value in json.loads(body)["data"].values() if isinstance(value, str)) <= 300
