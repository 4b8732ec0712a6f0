from datetime import UTC, tzinfo
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gateway.api import Trend
from gateway.handlers.mail import chart
from tests.examples import examples

HOUR = 3_600_000_000_000
NOW = 1_696_005_145_000_000_000
STOCKHOLM = ZoneInfo("Europe/Stockholm")


def span(hours: float = 6, zone: tzinfo = UTC, unit: str = "m/s²", severity: str = "critical") -> chart.Span:
    return chart.Span(NOW - int(hours * HOUR), NOW, NOW - HOUR, severity, zone, unit)


def trend(*levels: float, every: float = 0.1, limits: tuple[float | None, float | None] = (6.4, 10.0)) -> Trend:
    times = [NOW - int((len(levels) - 1 - index) * every * HOUR) for index in range(len(levels))]
    return Trend(times, levels, [4.0] * len(levels), *limits)


def picture(drawn: Trend, where: chart.Span | None = None) -> Image.Image:
    png = chart.draw(drawn, where or span())
    assert png is not None
    return Image.open(BytesIO(png)).convert("RGB")


def count(image: Image.Image, colour: str) -> int:
    """Return how many pixels have nearly this colour."""
    wanted = bytes.fromhex(colour[1:])
    near = (
        number
        for number, pixel in image.getcolors(image.width * image.height) or ()
        if isinstance(pixel, tuple) and max(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) < 24
    )
    return sum(near)


def test_the_picture_has_its_size_its_paper_and_its_lines() -> None:
    image = picture(trend(*[4.0] * 40, *[12.5] * 5))
    assert image.size == (chart.WIDTH, chart.HEIGHT)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    for colour in (chart.LINE, chart.WARNING, chart.CRITICAL, chart.QUIET):
        assert count(image, colour) > 300


def test_the_level_stands_where_it_belongs() -> None:
    image = picture(trend(*[5.0] * 50, limits=(None, None)))
    blue = [y for y in range(chart.TOP + 30, chart.BOTTOM) if count(image.crop((600, y, 601, y + 1)), chart.LINE)]
    part = (chart.BOTTOM - sum(blue) / len(blue)) / (chart.BOTTOM - chart.TOP)
    assert part == pytest.approx(1 / 1.12, abs=0.02)  # zero is at the bottom, the highest level just below the top


def test_silence_is_a_gap_and_not_a_line() -> None:
    levels = trend(*[5.0] * 60, every=0.1)
    times = [*levels.times_ns[:20], *levels.times_ns[40:]]
    gap = Trend(times, levels.levels[:40], levels.baselines[:40])
    middle = (chart.LEFT + chart.RIGHT) // 2
    column = (middle, chart.TOP, middle + 10, chart.BOTTOM)
    assert count(picture(gap).crop(column), chart.LINE) == 0
    assert count(picture(levels).crop(column), chart.LINE) > 0


def test_a_limit_far_above_leaves_the_level_its_room() -> None:
    image = picture(trend(*[1.0] * 20, limits=(50.0, 100.0)))
    assert count(image.crop((chart.LEFT, chart.TOP, chart.RIGHT, chart.BOTTOM)), chart.CRITICAL) == 0


def test_nothing_is_drawn_of_nothing() -> None:
    assert chart.draw(Trend(), span()) is None
    assert chart.draw(trend(float("nan"), float("inf")), span()) is None


@pytest.mark.parametrize(
    ("hours", "zone", "texts"),
    [
        (6, UTC, ["11:00", "12:00", "13:00", "14:00", "15:00", "16:00"]),
        (6, STOCKHOLM, ["13:00", "14:00", "15:00", "16:00", "17:00", "18:00"]),
        (6, ZoneInfo("Asia/Kolkata"), ["17:00", "18:00", "19:00", "20:00", "21:00", "22:00"]),
        (0.5, UTC, ["16:05", "16:10", "16:15", "16:20", "16:25", "16:30"]),
        (72, UTC, ["27 Sep", "12:00", "28 Sep", "12:00", "29 Sep", "12:00"]),
        (24 * 7, STOCKHOLM, ["24 Sep", "26 Sep", "28 Sep"]),
    ],
)
def test_times_are_round_in_their_zone(hours: float, zone: tzinfo, texts: list[str]) -> None:
    where = span(hours, zone)
    scale = chart._Scale(0, 1, where.since_ns, where.until_ns)  # noqa: SLF001 - the picture itself cannot be read
    assert [text for _, text in chart._time_ticks(scale, zone)] == texts  # noqa: SLF001 - as above


@pytest.mark.parametrize(
    ("highest", "ticks"), [(14.0, [0, 5, 10]), (1.0, [0, 0.5, 1]), (0.07, [0, 0.02, 0.04, 0.06]), (900, [0, 500])]
)
def test_values_are_round(highest: float, ticks: list[float]) -> None:
    scale = chart._Scale(0, highest, 0, 1)  # noqa: SLF001 - as above
    assert chart._value_ticks(scale) == pytest.approx(ticks)  # noqa: SLF001 - as above


def test_says_in_words_what_it_shows() -> None:
    assert chart.describe(trend(4.0, 12.5), span(zone=STOCKHOLM)) == (
        "Level from 2023-09-29 12:32 CEST to 2023-09-29 18:32 CEST, last 12.5 m/s²; "
        "baseline 4.0, warning 6.4, critical 10.0"
    )


@pytest.mark.parametrize("level", [5e-324, 1e-310, 0.0, -5.0, -1e299])
def test_levels_that_cannot_be_told_apart_make_a_picture(level: float) -> None:
    assert chart.draw(trend(level, level), span()) is not None


@examples(15)
@given(
    st.lists(st.floats() | st.floats(0, 20), min_size=1, max_size=30),
    st.none() | st.floats(),
    st.text(max_size=20),
    st.floats(0.001, 10_000),
)
def test_any_readings_make_a_picture_of_the_same_size_or_none(
    levels: list[float], limit: float | None, unit: str, hours: float
) -> None:
    png = chart.draw(trend(*levels, limits=(limit, limit)), span(hours, unit=unit))
    assert png is None or Image.open(BytesIO(png)).size == (chart.WIDTH, chart.HEIGHT)
    chart.describe(trend(*levels, limits=(limit, limit)), span(hours, unit=unit))
