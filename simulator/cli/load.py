"""load: as many readings as a broker and a gateway can take."""

import math
from typing import Any

import click

from simulator import load as loading
from simulator.cli.options import (
    DURATION,
    complete,
    connection_options,
    format_option,
    output_option,
    quiet_option,
    report,
    stop_on_signal,
)
from simulator.formats import EVENT, FORMATS
from simulator.publishing import Broker


@click.command(short_help="Publish many readings evenly and time their acknowledgements.")
@connection_options
@click.option("--rate", default=5000.0, show_default=True, type=click.FloatRange(min=0), help="0: as fast as possible.")
@click.option("--sensors", default=1000, show_default=True, type=click.IntRange(1, 999_999))
@click.option("--machines", type=click.IntRange(1, 9999), help="The sensors are spread over them.  [default: a tenth]")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Readings in one message.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many readings.")
@click.option("--duration", type=DURATION, help="Stop after this time.  [default: 60s, without --count]")
@click.option("--alert-every", default=0, type=click.IntRange(0), help="Every Nth sensor exceeds 3 x its baseline.")
@click.option("--disturbed", is_flag=True, help="1 % cut off as well, 1 % twice, 5 % late.")
@click.option("--seed", default=0, show_default=True, type=int, help="Of the levels.")
@format_option
@quiet_option
@output_option
def load(broker: Broker, output: str, *, quiet: bool, **options: Any) -> None:
    """Publish many sensors' readings at an even rate and measure how the broker acknowledges them."""
    options["form"] = FORMATS[options.pop("format_name")]
    if options["form"] is not EVENT and options["batch"] > 1:
        raise click.UsageError("--batch makes arrays of events: leave out --format, or --batch")
    options["machines"] = options["machines"] or max(1, options["sensors"] // 10)
    options["duration"] = options["duration"] or (math.inf if options["count"] else 60.0)
    options["count"] = options["count"] or math.inf
    result, stopped = complete(_generate(broker, loading.Load(**options)))
    report(_measured(result), output, quiet=quiet)
    missing = result.sent - result.acknowledged
    if (missing or result.lost) and not stopped:
        why = "the connection was lost, " * result.lost + f"{result.refused} were refused, " * bool(result.refused)
        raise click.ClickException(f"{why}{missing} of {result.sent} readings were not acknowledged by the broker")


async def _generate(broker: Broker, load: loading.Load) -> tuple[loading.Result, bool]:
    stop = stop_on_signal()
    return await loading.generate(broker, load, stop), stop.is_set()


def _measured(result: loading.Result) -> dict[str, object]:
    return {
        "sent": result.sent,
        "acknowledged": result.acknowledged,
        "seconds": round(result.seconds, 3),
        "rate": round(result.acknowledged / result.seconds, 1),
        "p50_ms": round(result.percentile(0.5), 2),
        "p99_ms": round(result.percentile(0.99), 2),
    }
