import pytest

from gateway.config import parse_duration
from gateway.config.values import is_loopback

SECOND, DAY = 10**9, 86400 * 10**9


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, *, ours: bool) -> None:
    assert is_loopback(host) is ours


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("10s", 10 * SECOND),
        ("1.5h", 5400 * SECOND),
        ("7d", 7 * DAY),
        ("2w", 14 * DAY),
        (" 250 ms ", SECOND // 4),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["", "10", "s", "-1s", "1e3s", "10 sec", "1h30m", "10S", "٣s", "9" * 400 + "s", 10, 1.5, None, True]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="a duration is a number and a unit"):
        parse_duration(text)
