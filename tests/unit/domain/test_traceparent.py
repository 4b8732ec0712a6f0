import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.native import EVENT, decode
from gateway.domain.inputs.traceparent import carried_by, is_valid, of_properties
from gateway.domain.model.events import Rejected
from gateway.domain.model.reading import VibrationRecorded
from tests.readings import event

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        PARENT[:-1],
        PARENT + "0",
        PARENT + "\n",
        PARENT.upper(),
        PARENT.replace("-", "_"),
        "ff" + PARENT[2:],
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        PARENT.replace("4", "٤"),
        '","x":"' + PARENT[7:],
    ],
)
def test_what_the_standard_does_not_allow_is_none(text: str) -> None:
    assert not is_valid(text)
    assert of_properties([("traceparent", text)]) == ""


def test_one_is_found_among_the_properties_and_two_are_none() -> None:
    assert of_properties([("a", "b"), ("traceparent", PARENT), ("Traceparent", OTHER)]) == PARENT
    assert of_properties([("traceparent", PARENT), ("traceparent", PARENT)]) == ""


texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
)


@given(
    st.dictionaries(texts, json_values, max_size=5),
    st.sampled_from([None, 2]),
    st.text(" \t\r\n", max_size=3),
    st.sampled_from(["", None]),
)
def test_it_is_added_to_any_event_and_changes_nothing_else(
    more: dict[str, object], indent: int | None, blank: str, id_: str | None
) -> None:
    published = {**more, **event(id_=id_), "traceparent": None}
    payload = (json.dumps(published, indent=indent) + blank).encode()
    (plain,) = decode(payload, {})
    (item,) = [carried_by(each, PARENT) for each in decode(payload, {})]
    assert not isinstance(plain, Rejected)
    assert not isinstance(item, Rejected)
    taken, body = item
    assert json.loads(body) == {**published, "traceparent": PARENT}
    expected = {**msgspec.structs.asdict(plain[0]), "traceparent": PARENT}
    assert taken == VibrationRecorded(**expected)
    assert EVENT.decode(body).traceparent == PARENT


def test_an_events_own_comes_first_and_a_bad_one_stays_as_it_came() -> None:
    own = json.dumps({**event(), "traceparent": OTHER}).encode()
    (item,) = decode(own, {})
    assert carried_by(item, PARENT) == item
    (bad,) = decode(b"{}", {})
    assert carried_by(bad, PARENT) == bad
