import pytest

from gateway.outgoing.client import LONGEST_WAIT, Answer


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("5", 5.0),
        ("9" * 400, LONGEST_WAIT),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
    ],
)
def test_how_long_to_wait_is_bounded_whatever_a_server_says(text: str, seconds: float | None) -> None:
    assert Answer(503, {"Retry-After": text}).retry_after == seconds
