from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backtest.series import parse_series


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("4", [4]),
        ("4.0x3 12.5x2", [4, 4, 4, 12.5, 12.5]),
        ("1+0.5x3", [1, 1.5, 2]),
        ("1-.5x3", [1, 0.5, 0]),
        ("-1e-1x2", [-0.1, -0.1]),
        ("_ 2 _x2", [None, 2, None, None]),
        ("4x0", []),
        ("  ", []),
    ],
)
def test_parts_are_written_out(text: str, readings: list[float | None]) -> None:
    assert parse_series(text) == readings


def test_noise_has_the_spread_that_is_named_and_is_the_same_every_time() -> None:
    found = [level for level in parse_series("4~0.5x2000") if level is not None]
    assert mean(found) == pytest.approx(4, abs=0.05)
    assert stdev(found) == pytest.approx(0.5, rel=0.1)
    assert parse_series("4~0.5x2000") == found


@pytest.mark.parametrize(
    "text", ["four", "4,0", "4x", "x4", "4x-1", "4 x3", "1+x3", "4~x3", "nan", "inf", "4x1.5", "__"]
)
def test_anything_else_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="a series is parts with spaces between them"):
        parse_series(text)


@pytest.mark.parametrize("text", ["4x1000001", "4x999999 5x2", "_x99999999999999999999"])
def test_a_series_is_bounded(text: str) -> None:
    with pytest.raises(ValueError, match="at most 1000000 readings"):
        parse_series(text)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 50)), max_size=8))
def test_what_is_written_is_read(parts: list[tuple[float, int]]) -> None:
    text = " ".join(f"{level!r}x{count}" for level, count in parts)
    assert parse_series(text) == [level for level, count in parts for _ in range(count)]
