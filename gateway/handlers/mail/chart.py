"""A sensor's last hours as a picture for a mail: level, baseline and limits over time.

Drawn at twice the size it is shown at. Whatever the readings are, the picture stays the same size.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, tzinfo
from io import BytesIO
from itertools import pairwise
from math import floor, isfinite, log10
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from gateway.api import Trend
from gateway.domain.detection.comparison import number
from gateway.domain.model.timefmt import local, moment, zone_name
from gateway.handlers.text import wording

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

WIDTH, HEIGHT = 1088, 470  # pixels; shown at half of it
LEFT, RIGHT, TOP, BOTTOM = 104, 1066, 46, 412
SMOOTHED = 2  # times as large are lines drawn, for Pillow leaves them jagged
TEXT, RAISED = 30, 20
GAP = 5  # intervals between readings after which the line is broken: silence is not a value
MOST_TICKS = 4
FAST = 2  # Pillow's way to choose colours that takes a tenth of the time

PAPER, INK, QUIET, GRID = "#ffffff", "#1c2430", "#5b6472", "#e6e8ec"
LINE, WARNING, CRITICAL = "#1d4ed8", "#b45309", "#b42318"
_TINT = {"warning": "#fdf3e3", "critical": "#fdeceb"}

_MINUTE, _DAY = 60_000_000_000, 86_400_000_000_000
_STEPS_NS = [minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080)]
_MAGNITUDE = 1e300


class Span(NamedTuple):
    """What is shown: from when to when, since when it is wrong and how wrong, in which zone and unit."""

    since_ns: int
    until_ns: int
    opened_ns: int
    severity: str
    zone: tzinfo
    unit: str


class _Scale(NamedTuple):
    """Where values and times are on the picture."""

    lowest: float
    highest: float
    since_ns: int
    until_ns: int

    def x(self, ns: int) -> float:
        return LEFT + (RIGHT - LEFT) * (ns - self.since_ns) / (self.until_ns - self.since_ns)

    def y(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - self.lowest) / (self.highest - self.lowest)


def draw(trend: Trend, span: Span) -> bytes | None:
    """Return a PNG, or None where there is nothing to draw, or nothing to draw it with."""
    try:
        from PIL import Image, ImageDraw  # noqa: PLC0415 - 7 MB and 20 ms, for those who have mail with a chart
    except ImportError:  # no wheel for this processor
        return None
    trend = _drawable(trend)
    if not trend.levels:
        return None
    scale = _scale(trend, span)
    picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    _draw_ground(ImageDraw.Draw(picture), trend, span, scale)
    mask = Image.new("L", (WIDTH * SMOOTHED, HEIGHT * SMOOTHED))  # of one byte a pixel, for what needs smoothing
    _draw_level(ImageDraw.Draw(mask), trend, scale)
    picture.paste(LINE, mask=mask.reduce(SMOOTHED))
    _draw_texts(ImageDraw.Draw(picture), trend, span, scale)
    return _png(picture)


def prepare() -> None:
    """Load what drawing needs, so that the first alert does not wait for it."""
    draw(Trend([0], [1.0], [None]), Span(0, 1, 0, "", UTC, ""))


def describe(trend: Trend, span: Span) -> str:
    """Return the picture in words, for who cannot see it."""
    trend = _drawable(trend)
    last = f"{number(trend.levels[-1])} {wording.one_line(span.unit, 20)}".rstrip() if trend.levels else "unknown"
    limits = [f"{name} {number(value)}" for name, value, _ in _limits(trend)]
    since, until = (moment(ns, span.zone) for ns in (span.since_ns, span.until_ns))
    return f"Level from {since} to {until}, last {last}; " + ", ".join(limits or ["no limits are known"])


def _drawable(trend: Trend) -> Trend:
    """Return what a picture can show: finite numbers that can be added up."""
    rows = zip(trend.times_ns, trend.levels, trend.baselines, strict=True)
    kept = [row for row in rows if isfinite(row[1]) and abs(row[1]) < _MAGNITUDE]
    if not kept:
        return Trend()
    times, levels, baselines = zip(*kept, strict=True)
    return Trend(times, levels, baselines, _positive(trend.warning), _positive(trend.critical))


def _positive(value: float | None) -> float | None:
    """Return a value that a line can be drawn for, else None."""
    return value if value is not None and 0 < value < _MAGNITUDE else None


def _limits(trend: Trend) -> list[tuple[str, float, str]]:
    """Return (name, value, colour) of the lines across the picture that are known."""
    baseline = _positive(trend.baselines[-1]) if trend.baselines else None
    lines = [("baseline", baseline, QUIET), ("warning", trend.warning, WARNING), ("critical", trend.critical, CRITICAL)]
    return [(name, value, colour) for name, value, colour in lines if value is not None]


def _scale(trend: Trend, span: Span) -> _Scale:
    """Return a scale from zero, since a level is a size, to above everything; a limit far above is left out."""
    top = max(trend.levels)
    for _, value, _ in sorted(_limits(trend), key=lambda limit: limit[1]):
        if value <= 2 * max(top, 0) or top <= 0:
            top = max(top, value)
    lowest = min(0.0, *trend.levels) if min(trend.levels) < 0 else 0.0
    height = (top - lowest) * 1.12
    if height <= max(1e-9 * abs(lowest), 1 / _MAGNITUDE):  # nothing that could be told apart
        height = max(1.0, abs(lowest))
    return _Scale(lowest, lowest + height, span.since_ns, max(span.until_ns, span.since_ns + _MINUTE))


def _draw_ground(pen: ImageDraw.ImageDraw, trend: Trend, span: Span, scale: _Scale) -> None:
    """Draw what lies below the level: since when something is wrong, the values, the limits."""
    if span.opened_ns < span.until_ns and span.severity in _TINT:
        pen.rectangle([(max(scale.x(span.opened_ns), LEFT), TOP), (RIGHT, BOTTOM)], fill=_TINT[span.severity])
    for value in _value_ticks(scale):
        pen.line([(LEFT, scale.y(value)), (RIGHT, scale.y(value))], fill=GRID, width=2)
    for name, value, colour in _limits(trend):
        if value <= scale.highest:
            y = scale.y(value)
            dash = 8 if name == "baseline" else RIGHT - LEFT
            for x in range(LEFT, RIGHT, 2 * dash):
                pen.line([(x, y), (min(x + dash, RIGHT), y)], fill=colour, width=3)


def _draw_level(pen: ImageDraw.ImageDraw, trend: Trend, scale: _Scale) -> None:
    """Draw the level, and a dot where it is now, into a mask of its own size."""
    for series in _series(trend):
        points = [(scale.x(ns) * SMOOTHED, scale.y(level) * SMOOTHED) for ns, level in series]
        end = (points[-1][0] + 3 * SMOOTHED, points[-1][1]) if len(points) == 1 else points[-1]
        pen.line([*points, end], fill=255, width=5 * SMOOTHED)
    last = scale.x(trend.times_ns[-1]) * SMOOTHED, scale.y(trend.levels[-1]) * SMOOTHED
    pen.circle(last, 9 * SMOOTHED, fill=255)


def _draw_texts(pen: ImageDraw.ImageDraw, trend: Trend, span: Span, scale: _Scale) -> None:
    from PIL import ImageFont  # noqa: PLC0415 - as in draw

    font = ImageFont.load_default(TEXT)
    unit, raised = _plain(span.unit)
    small = ImageFont.load_default(RAISED)
    end = LEFT - 14 - pen.textlength(raised, small)
    pen.text((end, TOP - 14), unit, fill=QUIET, font=font, anchor="rs")
    pen.text((end, TOP - 24), raised, fill=QUIET, font=small, anchor="ls")
    for value in _value_ticks(scale):
        pen.text((LEFT - 14, scale.y(value)), f"{value:g}", fill=QUIET, font=font, anchor="rm")
    zone = zone_name(local(span.until_ns, span.zone))
    pen.text((0, BOTTOM + 20), zone, fill=QUIET, font=font, anchor="lt")
    free = max(LEFT, pen.textlength(zone, font)) + 20
    for ns, text in _time_ticks(scale, span.zone):
        half = pen.textlength(text, font) / 2
        if free + half <= scale.x(ns) <= WIDTH - half:
            pen.text((scale.x(ns), BOTTOM + 20), text, fill=QUIET, font=font, anchor="mt")
    x = LEFT + 20.0
    for name, value, colour in [("level", trend.levels[-1], LINE), *_limits(trend)]:
        text = f"{name} {number(value)}"
        pen.line([(x, TOP - 24), (x + 28, TOP - 24)], fill=colour, width=6)
        pen.text((x + 38, TOP - 14), text, fill=INK, font=font, anchor="ls")
        x += 38 + pen.textlength(text, font) + 34


def _value_ticks(scale: _Scale) -> list[float]:
    """Return round values, few enough to be read."""
    rough = (scale.highest - scale.lowest) / MOST_TICKS
    magnitude = 10.0 ** floor(log10(rough))
    step = next((factor * magnitude for factor in (1, 2, 5) if factor * magnitude >= rough), 10 * magnitude)
    first = floor(scale.lowest / step) + (scale.lowest % step > 0)
    return [tick * step for tick in range(int(first), int(scale.highest / step) + 1)]


def _time_ticks(scale: _Scale, zone: tzinfo) -> list[tuple[int, str]]:
    """Return (time, text) of round times in the zone, few enough to be read."""
    length = scale.until_ns - scale.since_ns
    step = next((step for step in _STEPS_NS if length / step <= MOST_TICKS + 2), length)
    offset = local(scale.since_ns, zone).utcoffset()
    shift = int(offset.total_seconds()) * 1_000_000_000 if offset else 0
    first = -(-(scale.since_ns + shift) // step) * step - shift
    times = [(ns, local(ns, zone)) for ns in range(first, scale.until_ns + 1, step)]
    return [
        (ns, f"{time:%d %b}" if step >= _DAY or time.hour == time.minute == 0 else f"{time:%H:%M}")
        for ns, time in times
    ]


def _series(trend: Trend) -> list[list[tuple[int, float]]]:
    """Return the readings in pieces, broken where the sensor was silent."""
    points = list(zip(trend.times_ns, trend.levels, strict=True))
    between = [later - earlier for (earlier, _), (later, _) in pairwise(points)]
    longest = GAP * median(between) if between else 0
    pieces = [points[:1]]
    for point, distance in zip(points[1:], between, strict=True):
        if distance > longest:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _plain(unit: str) -> tuple[str, str]:
    """Return a unit, and the raised digits at its end, in the characters that Pillow's own font has."""
    text = wording.one_line(unit, 8).replace("µ", "u").replace("μ", "u")
    whole = text.rstrip("²³")
    folded = (unicodedata.normalize("NFKD", part) for part in (whole, text[len(whole) :]))
    plain, raised = ("".join(filter(str.isascii, part)) for part in folded)
    return plain, raised


def _png(picture: Image.Image) -> bytes:
    few = picture.quantize(64, method=FAST)
    palette = few.getpalette() or []
    lightest = max(range(0, len(palette), 3), key=lambda at: sum(palette[at : at + 3]))
    palette[lightest : lightest + 3] = [255, 255, 255]  # it only comes near to the paper, and would show on a page
    few.putpalette(palette)
    file = BytesIO()
    few.save(file, "PNG")
    return file.getvalue()
