from gateway.telemetry.metrics import Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"vibration_gateway_{name}", labels)


def test_a_consumer_is_shown_before_anything_has_happened() -> None:
    metrics = Metrics()
    metrics.add_consumer("consumer.ours")
    names = (
        "consumer_rows_taken_total",
        "consumer_rows_skipped_total",
        "consumer_failures_total",
        "consumer_dead_letters_total",
        "consumer_lag_entries",
    )
    assert [value(metrics, name, consumer="consumer.ours") for name in names] == [0, 0, 0, 0, 0]


def test_the_names_that_were_promised_before_go_on() -> None:
    metrics = Metrics()
    for consumer, rows in (("influx", 3), ("consumer.ours", 5)):
        metrics.count_taken(consumer, rows)
        metrics.set_lag(consumer, 10 * rows)
    metrics.set_lag("otel", 7)
    assert value(metrics, "influx_points_written_total") == value(
        metrics, "consumer_rows_taken_total", consumer="influx"
    )
    assert value(metrics, "influx_points_written_total") == 3
    assert (value(metrics, "influx_lag_readings"), value(metrics, "otel_lag_entries")) == (30, 7)
