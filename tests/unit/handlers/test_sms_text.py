# ruff: noqa: RUF001 - these tests are about characters that look alike
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.notification.model import Notification
from gateway.handlers import sms
from gateway.handlers.text.gsm7 import BASIC, LONGEST, to_gsm7
from tests.notifications import CRITICAL, TEXTS, notification


def compose(told: Notification) -> str:
    return sms.compose(told, UTC)


texts = st.text(st.characters(), max_size=400)
numbers = st.none() | st.floats(allow_nan=False)


@given(
    st.fixed_dictionaries(
        {
            **dict.fromkeys(TEXTS, texts),
            **dict.fromkeys(("level", "baseline", "ratio"), numbers),
            "kind": st.sampled_from(["raised", "escalated", "cleared", "test"]),
            "alert_kind": st.sampled_from(["machine", "sensor", "gateway"]),
        }
    )
)
def test_any_text_fits_into_one_message_of_the_basic_alphabet(fields: dict[str, Any]) -> None:
    text = compose(notification(**fields))
    assert 0 < len(text) <= LONGEST
    assert set(text) <= BASIC


def test_the_alphabet_is_that_of_the_standard() -> None:
    # 128 places, of which three are no characters of a line: LF, CR and the escape to the extension table
    assert len(BASIC) == 125
    assert not BASIC & set("^{}[]~|\\€\n\r\x1b\x0c")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("12.5 m/s²", "12.5 m/s2"),
        ("3.1 × baseline", "3.1 x baseline"),
        ("80 °C", "80 degC"),
        ("“P‑101” – ‘left’…", "\"P-101\" - 'left'..."),
        ("Łódź, São Paulo, Þórr", "Lodz, Sao Paulo, Thorr"),
        ("Größe Ångström ñ É à", "Größe Ångström ñ É à"),
        ("e\u0301", "é"),
        ("[a] {b} ~ | \\ ^ €", "(a) (b) - / / ' EUR"),
        ("µm ½", "um 1/2"),
        ("насос 🔥", "????? ?"),
    ],
)
def test_keeps_what_can_be_read(text: str, plain: str) -> None:
    assert to_gsm7(text) == plain


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {},
            (
                "CRITICAL: P-101 VB-42345 at 3.1 x baseline, since 16:30 UTC. 12.5 m/s2, baseline 4.0 m/s2."
                " Motor Assembly Line B... http://192.168.1.10:8080/#alert=9d0f8b52"
            ),
        ),
        (
            {"kind": "escalated", "page_url": ""},
            (
                "CRITICAL (escalated): P-101 VB-42345 at 3.1 x baseline, since 16:30 UTC. 12.5 m/s2, baseline"
                " 4.0 m/s2. Motor Assembly Line B, Conveyor Unit 4"
            ),
        ),
        (
            {"kind": "cleared", "location": "", "level": 4.2, "ratio": 1.05, "page_url": "", "reason": ""},
            ("CLEARED: P-101 VB-42345 at 1.1 x baseline. 4.2 m/s2, baseline 4.0 m/s2. halmstad, line-b"),
        ),
        ({"kind": "test", "page_url": ""}, "TEST: Gateway edge-1, nothing is wrong. No action is needed"),
        (
            {"severity": "warning", "alert_kind": "sensor", "reason": "No reading for 6 min", "page_url": ""},
            ("WARNING: P-101 VB-42345: No reading for 6 min, since 16:30 UTC. Motor Assembly Line B, Conveyor Unit 4"),
        ),
    ],
)
def test_says_what_matters_first(changes: dict[str, Any], text: str) -> None:
    assert compose(notification(**changes)) == text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://h/~anna",
        "http://h/[x]",
        "http:///nowhere",
        "http://h/" + "x" * 160,
        "http://[",
        "x",
    ],
)
def test_offers_no_link_that_would_not_arrive_whole(url: str) -> None:
    assert compose(notification(page_url=url)) == compose(notification(page_url=""))


def test_a_long_summary_keeps_its_beginning() -> None:
    text = compose(notification(machine="M" * 128, sensor_id="S" * 128))
    assert text.startswith("CRITICAL: M")
    assert "at 3.1 x baseline" in text
    assert CRITICAL.page_url in text
