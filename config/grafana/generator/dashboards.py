"""The five pages: fleet, machine, sensor, alerts, gateway."""

from grafana_foundation_sdk.builders import common, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.common import GraphDrawStyle, GraphTresholdsStyleMode
from panels import (
    CRITICAL_RATIO,
    alert_events,
    bars,
    dashed,
    graph,
    number,
    open_alerts,
    page,
    ratio_thresholds,
    rows,
    steps,
)
from queries import by_time, choice, select

from gateway.domain.model.quantities import QUANTITIES, Quantity

PLACE = ("machine", "sensor")
UNITS = {"°C": "celsius", "rpm": "rotrpm"}  # that Grafana has a name for
NOTES = {"kurtosis": "About 3 is healthy."}
LEVEL = 'max("level") AS "level", mean("baseline") AS "baseline"'


def fleet() -> Dashboard:
    """Return the page of all machines: which one needs somebody."""
    worst = select('last("ratio") AS "ratio"', "vibration", 'GROUP BY "machine", "sensor"', *PLACE)
    return (
        page("Vibration fleet", "vibration-fleet")
        .with_variable(choice("machine"))
        .with_variable(choice("sensor", "machine"))
        .with_panel(
            bars("Latest level / baseline", worst, "$tag_machine $tag_sensor")
            .description("1 is the baseline.")
            .span(8)
            .height(9)
        )
        .with_panel(open_alerts(*PLACE).span(16).height(9))
        .with_panel(_levels(*PLACE, alias="$tag_machine $tag_sensor $col").span(24).height(10))
        .with_panel(_ratios(*PLACE, alias="$tag_machine $tag_sensor").span(24).height(9))
        .with_panel(alert_events(*PLACE).span(24).height(9))
    )


def machine() -> Dashboard:
    """Return the page of one machine: which of its sensors, since when, and what else changed with it."""
    latest = select('last("ratio") AS "ratio"', "vibration", 'GROUP BY "sensor"', "machine")
    velocity = select('max("velocity_rms") AS "velocity"', "vibration", by_time("sensor"), "machine")
    running = select('mean("rpm") AS "rpm", mean("load") AS "load"', "vibration", by_time("sensor"), "machine")
    temperature = select('max("temperature") AS "temperature"', "vibration", by_time("sensor"), "machine")
    return (
        page("Vibration machine", "vibration-machine", "now-24h")
        .with_variable(choice("machine", many=False))
        .with_panel(bars("Latest level / baseline", latest, "$tag_sensor").span(8).height(8))
        .with_panel(open_alerts("machine").span(16).height(8))
        .with_panel(_levels("machine", alias="$tag_sensor $col").span(24).height(10))
        .with_panel(_ratios("machine", alias="$tag_sensor").span(24).height(8))
        .with_panel(
            graph("Vibration velocity", velocity, "$tag_sensor", "suffix: mm/s")
            .description("RMS from 10 to 1000 Hz, where the sensors send it.")
            .span(24)
            .height(8)
        )
        .with_panel(graph("Speed and load", running, "$tag_sensor $col").span(12).height(8))
        .with_panel(graph("Temperature", temperature, "$tag_sensor", "celsius").span(12).height(8))
        .with_panel(alert_events("machine").span(24).height(8))
    )


def sensor() -> Dashboard:
    """Return the page of one sensor: everything it sends, beside its baseline."""
    spread = (
        'min("level") AS "lowest", mean("level") AS "mean", max("level") AS "highest", mean("baseline") AS "baseline"'
    )
    level = select(spread, "vibration", by_time(), "sensor")
    shown = (
        page("Vibration sensor", "vibration-sensor", "now-7d")
        .with_variable(choice("sensor", many=False))
        .with_panel(
            number("Latest level / baseline", select('last("ratio") AS "ratio"', "vibration", "", "sensor"), "ratio")
            .thresholds(ratio_thresholds())
            .decimals(2)
            .span(6)
            .height(8)
        )
        .with_panel(open_alerts("sensor").span(18).height(8))
        .with_panel(dashed(graph("Level and baseline", level, "$col"), "/baseline$/").span(24).height(10))
        .with_panel(_ratios("sensor", alias="ratio", tags=()).span(24).height(8))
    )
    for quantity in QUANTITIES:
        shown = shown.with_panel(_quantity(quantity).span(8).height(7))
    return shown.with_panel(alert_events("sensor").span(24).height(8))


def _quantity(quantity: Quantity) -> timeseries.Panel:
    """Return what became of one quantity: its highest values, or its mean where that describes how the machine ran."""
    how = "max" if quantity.learned else "mean"
    query = select(f'{how}("{quantity.key}") AS "{quantity.key}"', "vibration", by_time(), "sensor")
    known = quantity.kind != "acceleration"  # a peak is in the sensor's own unit
    unit = UNITS.get(quantity.unit, f"suffix: {quantity.unit}") if known and quantity.unit else "none"
    panel = graph(quantity.label, query, "$col", unit)
    return panel.description(NOTES[quantity.key]) if quantity.key in NOTES else panel


def alerts() -> Dashboard:
    """Return the page of the alarm load: how many, and from whom."""
    count = select('count("alert_id") AS "changes"', "alert", by_time("severity").replace("none", "0"), "machine")
    top = select('count("alert_id") AS "changes"', "alert", 'GROUP BY "machine", "sensor"', "machine")
    total = select('count("alert_id") AS "changes"', "alert", 'GROUP BY "severity"', "machine")
    return (
        page("Vibration alerts", "vibration-alerts", "now-30d")
        .with_variable(choice("machine", measurement="alert"))
        .with_panel(open_alerts("machine").span(24).height(9))
        .with_panel(number("Alert changes by severity", total, "$tag_severity").span(6).height(8))
        .with_panel(
            graph("Alert changes over time", count, "$tag_severity")
            .description("Raised, escalated, cleared, acknowledged: every change of an alert.")
            .draw_style(GraphDrawStyle.BARS)
            .decimals(0)
            .span(18)
            .height(8)
        )
        .with_panel(
            rows("Sensors with the most alert changes", top)
            .description("What changes most often is a sensor to mend or a limit to move.")
            .span(24)
            .height(8)
        )
        .with_panel(alert_events("machine").span(24).height(10))
    )


def gateway() -> Dashboard:
    """Return the page of the gateway itself: whether everything that comes in is kept, and told."""

    def last(name: str, tag: str = "gateway") -> str:
        return select(f'last("{name}") AS "{name}"', "gateway", f'GROUP BY "{tag}"', "gateway")

    def line(name: str, *tags: str) -> str:
        return select(f'max("{name}") AS "{name}"', "gateway", by_time("gateway", *tags), "gateway")

    def rate(name: str, *tags: str) -> str:
        what = f'non_negative_derivative(max("{name}"), 1s) AS "{name}"'
        return select(what, "gateway", by_time("gateway", *tags), "gateway")

    connected = number("Broker", last("broker_connected"), "$tag_gateway")
    return (
        page("Vibration gateway", "vibration-gateway")
        .with_variable(choice("gateway", measurement="gateway"))
        .with_panel(
            connected.description("1 while connected and subscribed.").thresholds(steps("red", (1, "green"))).span(6)
        )
        .with_panel(number("Open alerts", last("alerts_open", "severity"), "$tag_severity").span(6))
        .with_panel(number("Waiting for InfluxDB", last("influx_lag_readings"), "$tag_gateway").span(6))
        .with_panel(number("Journal", last("journal_bytes"), "$tag_gateway", "decbytes").span(6))
        .with_panel(graph("Readings stored", rate("readings_stored_total"), "$tag_gateway", "cps").span(12).height(8))
        .with_panel(
            graph("Dead letters", line("rejected_total", "reason"), "$tag_gateway $tag_reason").span(12).height(8)
        )
        .with_panel(graph("Duplicates", line("duplicates_total"), "$tag_gateway").span(8).height(7))
        .with_panel(graph("Late readings", line("late_total"), "$tag_gateway").span(8).height(7))
        .with_panel(graph("Replaced times", line("clock_replaced_total"), "$tag_gateway").span(8).height(7))
        .with_panel(
            graph("Attempts to notify", line("notifications_total", "handler", "outcome"), "$tag_handler $tag_outcome")
            .span(12)
            .height(8)
        )
        .with_panel(
            graph("Waiting for InfluxDB over time", line("influx_lag_readings"), "$tag_gateway").span(12).height(8)
        )
        .with_panel(graph("Journal over time", line("journal_bytes"), "$tag_gateway", "decbytes").span(12).height(8))
        .with_panel(graph("Batches", rate("batch_seconds_count"), "$tag_gateway", "cps").span(12).height(8))
    )


def _levels(*tags: str, alias: str) -> timeseries.Panel:
    panel = graph("Level and baseline", select(LEVEL, "vibration", by_time(*PLACE), *tags), alias)
    return dashed(panel, "/ baseline$/").description(
        "The highest level within a point's interval, so that no peak is lost when zoomed out."
    )


def _ratios(*chosen: str, alias: str, tags: tuple[str, ...] = PLACE) -> timeseries.Panel:
    query = select('max("ratio") AS "ratio"', "vibration", by_time(*tags), *chosen)
    return (
        graph("Level / baseline", query, alias)
        .description("The lines are the gateway's defaults for warning and critical, not a sensor's own rules.")
        .thresholds(ratio_thresholds())
        .thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE))
        .axis_soft_min(0)
        .axis_soft_max(CRITICAL_RATIO)
    )
