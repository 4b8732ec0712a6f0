"""docs/performance.md and its chart, written from bench/results/latest.json: no figure in them is typed by hand."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.online import ALERTS, MANY_ALERTS, SENSORS
from bench.plant import ROOT
from bench.throughput import ALONE, NULL, OLD, PAHO, WAY, WITH

TEMPLATE = Path(__file__).with_name("page.md")
PAGE, CHART = ROOT / "docs" / "performance.md", ROOT / "docs" / "pictures" / "performance.svg"
PLANTS = ((1000, 1), (10_000, 1), (10_000, 10), (1_000_000, 60), (1_000_000, 3600))
"""Sensors, and seconds between two readings of one."""

Part = Mapping[str, Any]


def write(results: Path) -> None:
    """Write the page and the chart from all parts."""
    parts = json.loads(results.read_text())
    CHART.write_text(_chart(_values(parts["throughput"])))
    tables = {name: "\n".join(_table(part)) for name, part in parts.items()}
    PAGE.write_text(TEMPLATE.read_text().format(**tables, **_on_paper(parts)))


def _table(part: Part) -> Iterator[str]:
    yield "| figure | value | goal | note |"
    yield "|---|--:|---|---|"
    for figure in part["figures"]:
        mark = {True: " met", False: " **missed**", None: ""}[figure["met"]]
        goal = f"{_goal(figure['goal'])}{mark}"
        yield f"| {figure['name']} | {_number(figure['value'])} {figure['unit']} | {goal} | {figure['note']} |"


def _goal(text: str) -> str:
    sign, _, number = text.partition(" ")
    return f"{sign} {_number(float(number))}" if number else ""


def _number(value: float) -> str:
    """Return three digits, or whole numbers."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _values(part: Part) -> dict[str, float]:
    return {figure["name"]: figure["value"] for figure in part["figures"]}


def _on_paper(parts: Mapping[str, Part]) -> dict[str, str]:
    """Reckon with what was measured."""
    rate, grown = _values(parts["throughput"]), _values(parts["growth"])
    size = _values(parts["backlog"])["journal, bytes for each reading"]
    kilobytes = grown["memory for each sensor"]
    machine = parts["throughput"]["machine"]
    flat = [value for name, value in grown.items() if name.startswith("journal of") and value]
    return {
        "chart": f"![Readings a second that each of them drains]({CHART.relative_to(PAGE.parent)})",
        "machine": "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        "alerts": f"{ALERTS}",
        "many": f"{MANY_ALERTS}",
        "budget": f"{1e6 / (0.5 * rate[NULL]):.1f}",
        "used": f"{rate[f'{ALONE}: processor time']:.1f}",
        "with_influx": f"{rate[WITH] / 2:,.0f}",
        "alone": f"{rate[ALONE] / 2:,.0f}",
        "sizes": "\n".join(_sizes(rate[WITH] / 2, size, kilobytes, grown["10 sensors: memory at its peak"])),
        "kilobytes": f"{kilobytes:.1f}",
        "gigabytes": f"{kilobytes:.1f}",
        "large": f"{size / 10:.0f}",
        "flat": ", ".join(f"{value:.1f}" for value in flat),
        "old": f"{rate[OLD] / rate[ALONE]:.0%}",
        "fsync": machine["fsync of 4 kB"],
    }


def _sizes(planned: float, size: float, kilobytes: float, base: float) -> Iterator[str]:
    """Tell what plants would need: of the planned rate, in memory (MB for the program itself, kB a sensor), on disk."""
    yield "| sensors | a reading every | readings/s | of the planned, with InfluxDB | memory | journal of 30 days |"
    yield "|--:|--:|--:|--:|--:|--:|"
    for sensors, interval in PLANTS:
        load = sensors / interval
        memory = (base + kilobytes * sensors / 1000) / 1000
        days = load * 86_400 * 30 * size / 1e9
        yield (
            f"| {sensors:,} | {interval} s | {_number(load)} | {load / planned:.0%} | {_number(memory)} GB"
            f" | {_number(days)} GB |"
        )


def _chart(values: Mapping[str, float]) -> str:
    """Draw a bar for each, in colours that read on light and on dark paper."""
    names = [NULL, ALONE, WITH, OLD, PAHO, WAY]
    longest = max(values[name] for name in names)
    width, left, row = 760, 260, 34
    bars = []
    for number, name in enumerate(names):
        y, length = 16 + number * row, (width - left - 90) * values[name] / longest
        colour = "#2f7d6d" if name in {ALONE, WITH, OLD} else "#8a8f98"
        bars.append(
            f'<text x="{left - 10}" y="{y + 16}" text-anchor="end">{name}</text>'
            f'<rect x="{left}" y="{y}" width="{max(length, 1):.1f}" height="22" rx="2" fill="{colour}"/>'
            f'<text x="{left + length + 8:.1f}" y="{y + 16}">{values[name]:,.0f}/s</text>'
        )
    height = 24 + len(names) * row
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="Readings a second">\n<title>Readings a second drained, {SENSORS:,} sensors</title>\n'
        "<style>text{font:14px system-ui,sans-serif;fill:#222}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>\n" + "\n".join(bars) + "\n</svg>\n"
    )
