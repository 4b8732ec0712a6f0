"""Short links: whose they are, for what, until when; and where they lead."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Config
from gateway.security import reachable
from gateway.security.alert_links import DAY_NS, PATH, sign, verify
from gateway.security.reachable import page_address

KEY = b"k" * 32
ALERT = "5c58fad4-b3c3-53a1-ba61-6986e6d3b925"
PEOPLE = ["Anna", "+46700000001", "bert@example.com"]
NOW_NS = time.time_ns()


def code(severity: str = "warning", person: str = "Anna", alert: str = ALERT) -> str:
    return sign(alert, severity, person, NOW_NS, KEY).removeprefix(PATH)


def test_it_is_short_and_says_whose_it_is() -> None:
    assert len(PATH + code()) <= 30
    for person in PEOPLE:
        for severity in ("warning", "critical"):
            link = verify(code(severity, person), PEOPLE, KEY)
            assert link is not None
            assert ALERT.startswith(link.alert_id)
            assert (link.severity, link.person) == (severity, person)
            assert 3 * DAY_NS <= link.until_ns - NOW_NS <= 4 * DAY_NS


def test_it_is_nobodys_with_another_key_or_for_one_who_is_not_told_any_more() -> None:
    assert verify(code(), PEOPLE, b"x" * 32) is None
    assert verify(code(), ["bert@example.com"], KEY) is None
    assert verify(code(), PEOPLE, b"") is None


@given(st.integers(0, 22), st.sampled_from("ABCabc019-_"))
def test_no_character_can_be_changed(at: int, other: str) -> None:
    made = code()
    changed = made[:at] + other + made[at + 1 :]
    link = verify(changed, PEOPLE, KEY)
    assert link is None or changed == made or at == len(made) - 1  # of the last one four bits say nothing


@given(st.text(max_size=60))
def test_whatever_comes_is_no_link(text: str) -> None:
    assert verify(text, PEOPLE, KEY) is None


@pytest.mark.parametrize("alert", ["", "test", "zz-1"])
def test_what_is_no_alert_of_ours_has_none(alert: str) -> None:
    assert sign(alert, "warning", "Anna", NOW_NS, KEY) == ""


def config(http: dict[str, object] | None) -> Config:
    tables = {"gateway": {"id": "edge-1", "state_dir": "."}, "mqtt": {"topics": ["v/{sensor}"]}}
    return Config.model_validate(tables if http is None else {**tables, "http": http})


@pytest.mark.parametrize(
    ("http", "address"),
    [
        (None, ""),
        ({}, ""),
        ({"host": "::1"}, ""),
        ({"host": "192.168.1.10", "port": 8080}, "http://192.168.1.10:8080"),
        ({"host": "0.0.0.0", "port": 8080}, "http://10.0.0.5:8080"),
        ({"host": "::", "port": 8080}, "http://10.0.0.5:8080"),
        ({"public_url": "https://vibration.example.com/"}, "https://vibration.example.com"),
    ],
)
def test_links_lead_to_where_others_reach_the_device_and_never_to_their_own(
    http: dict[str, object] | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachable, "_own_address", lambda _: "10.0.0.5")
    assert page_address(config(http)) == address


def test_a_device_without_a_network_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "_own_address", lambda _: "127.0.0.1")
    assert page_address(config({"host": "0.0.0.0"})) == ""
