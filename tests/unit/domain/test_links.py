import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.security.ack_links import AckLink, sign, verify

KEY = b"a key of this gateway"
LINK = AckLink("9d0f8b52", "Anna Öberg", 1_700_000_000_000_000_000)


def test_a_signed_link_comes_back_as_it_was() -> None:
    assert verify(sign(LINK, KEY), KEY) == LINK


def test_a_signed_link_can_stand_in_an_address() -> None:
    assert set(sign(LINK, KEY)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_another_key_does_not_vouch_for_it() -> None:
    assert verify(sign(LINK, b"another key"), KEY) is None


@given(st.integers(min_value=0), st.characters())
def test_a_changed_one_is_refused(place: int, character: str) -> None:
    signed = sign(LINK, KEY)
    at = place % len(signed)
    changed = signed[:at] + character + signed[at + 1 :]
    assert verify(changed, KEY) == (LINK if changed == signed else None)


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.é", "a" * 5000, "W10.W10", sign(LINK, KEY).split(".", 1)[0]])
def test_what_is_no_link_is_refused(text: str) -> None:
    assert verify(text, KEY) is None
