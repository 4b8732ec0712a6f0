from datetime import UTC

import pytest

from gateway.handlers.text import wording
from gateway.security.redact import redact
from tests.notifications import notification


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\n\tb\x00c\x1b[0m", "a b c [0m"),
        ("\ud800x\u202ey\u2028z", "x y z"),
        ("  much   space\u00a0here ", "much space here"),
        ("m/s² × 👩", "m/s² × 👩"),
        ("", ""),
    ],
)
def test_one_line_leaves_nothing_that_acts(text: str, line: str) -> None:
    assert wording.one_line(text) == line


@pytest.mark.parametrize(("limit", "line"), [(9, "123 567 9"), (8, "123 567…"), (5, "123…"), (4, "123…")])
def test_one_line_is_as_long_as_allowed(limit: int, line: str) -> None:
    assert wording.one_line("123 567 9", limit) == line


def test_redact_replaces_a_secret_inside_a_longer_one_and_leaves_short_ones() -> None:
    assert redact("abcdefgh abcd ab", ["abcd", "abcdefgh", "ab"]) == "*** *** ab"


@pytest.mark.parametrize(("ratio", "text"), [(1.649, "1.6 × baseline"), (1e300, "over 1000 × baseline")])
def test_ratio(ratio: float, text: str) -> None:
    assert wording.ratio(notification(ratio=ratio)) == text


def test_facts_leave_out_what_is_not_known() -> None:
    sparse = notification(machine="", site="", area="", location="", level=None, baseline=None, ratio=None, reason="")
    assert [name for name, _ in wording.facts(sparse, UTC)] == ["Sensor", "Since", "Gateway", "Alert"]


@pytest.mark.parametrize(("kind", "name"), [("escalated", "Escalated"), ("cleared", "Cleared"), ("test", "Sent")])
def test_facts_say_when_something_changed(kind: str, name: str) -> None:
    assert dict(wording.facts(notification(kind=kind), UTC))[name] == "2023-09-29 16:32 UTC"


def test_an_alert_about_a_sensor_is_not_told_in_levels() -> None:
    silent = notification(alert_kind="sensor", reason="No reading for 6 min")
    assert wording.summary(silent, UTC) == "CRITICAL: P-101 VB-42345: No reading for 6 min, since 16:30 UTC"
