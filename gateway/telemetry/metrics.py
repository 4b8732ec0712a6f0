"""What the gateway counts, for Prometheus. Changed once per batch, never per reading."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.domain.engine.unit_of_work import UnitOfWork

_PREFIX = "vibration_gateway"

Families = dict[str, list[tuple[str, dict[str, str], float]]]
"""Name of a metric -> its samples: name, labels, value."""


class Metrics:
    """Every metric, in a registry of its own; in `shown` are those of the gateway's other process, too."""

    def __init__(self) -> None:
        self.registry = self.shown = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=_PREFIX, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, namespace=_PREFIX, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, namespace=_PREFIX, registry=self.registry, buckets=buckets)

        self.messages_received = counter("messages_received", "MQTT messages received, repeated ones too")
        self.readings_stored = counter("readings_stored", "New readings written to the journal")
        self.duplicates = counter("duplicates", "Readings and bad messages that were known already")
        self.rejected = counter("rejected", "Dead letters", "reason")
        self.ignored = counter("ignored", "Messages that an input leaves out on purpose", "input")
        self.input_remarks = counter("input_remarks", "What an input made the best of in a message", "input")
        self.input_forgotten = counter("input_forgotten", "What inputs had to forget before it was needed")
        self.waveforms_stored = counter("waveforms_stored", "Blocks of samples written to the journal")
        self.late = counter("late", "Readings behind their sensor's newest one: stored, not judged")
        self.not_judged = counter("not_judged", "Readings that were stored and not judged", "reason")
        self.over_quota = counter("over_quota", "What was refused, or not kept, as there was too much of it", "quota")
        self.clock_replaced = counter("clock_replaced", "Readings whose time was replaced by the receive time")
        self.consumer_rows = counter("consumer_rows_taken", "Readings and facts that a consumer has taken", "consumer")
        self.consumer_skipped = counter(
            "consumer_rows_skipped", "Rows that a consumer leaves out, with which nothing is wrong", "consumer"
        )
        self.consumer_failures = counter("consumer_failures", "Calls in which a consumer raised", "consumer")
        self.consumer_dead_letters = counter(
            "consumer_dead_letters", "Rows that a consumer does not take, once for each", "consumer"
        )
        self.consumer_lag = gauge("consumer_lag_entries", "Journal entries that a consumer is behind", "consumer")
        self.influx_points_written = counter("influx_points_written", "Points that InfluxDB has taken")
        self.influx_lag_readings = gauge("influx_lag_readings", "Journal entries that InfluxDB does not have yet")
        self.otel_lag_entries = gauge("otel_lag_entries", "Journal entries that the OpenTelemetry export is behind")
        self.alerts_open = gauge("alerts_open", "Open alerts", "severity")
        self.notifications = counter("notifications", "Attempts to notify", "handler", "outcome")
        self.notification_latency = histogram(
            "notification_latency_seconds",
            "From the alert change in the journal to the answer of the handler",
            (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
        )
        self.batch_seconds = histogram(
            "batch_seconds",
            "Decoding, evaluating and committing one batch",
            (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self.journal_sealed_blocks = gauge("journal_sealed_blocks", "Blocks of sealed readings in the journal")
        self.journal_sealed_readings = gauge("journal_sealed_readings", "Readings in these blocks")
        self.journal_sealed_bytes = gauge("journal_sealed_bytes", "What these blocks take up")
        self.journal_bytes = gauge("journal_bytes", "Size of the journal on disk, with its write-ahead log")
        self.journal_written = counter("journal_written_bytes", "Bytes written to the disk: what wears a card")
        self.log_lines_dropped = counter("log_lines_dropped", "Lines of the log that nobody took in time")
        self.follower_restarts = counter(
            "follower_restarts", "How often the process that follows the journal was started again"
        )
        self.info = gauge("info", "1: which gateway this is, and which version", "gateway", "version")
        self.http_refused = counter("http_refused", "Requests over HTTP that were refused", "reason")
        self.fleet_refused = counter(
            "fleet_messages_refused", "Messages of gateways that the fleet's centre could not use"
        )
        self.broker_connected = gauge("broker_connected", "1 while connected to the broker and subscribed")

    def families(self) -> Families:
        """Return what is counted here, for the other process."""
        return {
            metric.name: [(name, dict(labels), value) for name, labels, value, *_ in metric.samples]
            for metric in self.registry.collect()
        }

    def beside(self, families: Families) -> None:
        """Show what the other process counts, beside what is counted here; each counts what the other does not."""
        if self.shown is self.registry:
            self.shown = CollectorRegistry()
            self._both = _Both(self.registry)
            self.shown.register(self._both)
        self._both.other = families

    def add_consumer(self, consumer: str) -> None:
        """Show a consumer from the start: what has not happened yet is 0."""
        for metric in (self.consumer_rows, self.consumer_skipped, self.consumer_failures, self.consumer_dead_letters):
            metric.labels(consumer)
        self.consumer_lag.labels(consumer)

    def count_taken(self, consumer: str, rows: int) -> None:
        """Count what a consumer has taken."""
        self.consumer_rows.labels(consumer).inc(rows)
        if consumer == "influx":
            self.influx_points_written.inc(rows)

    def count_refused(self, consumer: str, reason: str, rows: int) -> None:
        """Count new dead letters of a consumer."""
        self.consumer_dead_letters.labels(consumer).inc(rows)
        self.rejected.labels(reason).inc(rows)

    def set_lag(self, consumer: str, entries: int) -> None:
        """Set how many entries of the journal a consumer has not had yet."""
        self.consumer_lag.labels(consumer).set(entries)
        former = {"influx": self.influx_lag_readings, "otel": self.otel_lag_entries}.get(consumer)
        if former is not None:
            former.set(entries)

    def count_refused_request(self, reason: str) -> None:
        """Count a request over HTTP that was refused."""
        self.http_refused.labels(reason).inc()

    def count_refused_report(self) -> None:
        """Count a message of a gateway that the centre of a fleet could not use."""
        self.fleet_refused.inc()

    def count_batch(self, batch: UnitOfWork, seconds: float) -> None:
        """Count what one committed batch held."""
        self.messages_received.inc(batch.messages)
        self.readings_stored.inc(len(batch.readings))
        self.duplicates.inc(batch.duplicates)
        self.late.inc(batch.late)
        self.clock_replaced.inc(batch.clock_replaced)
        for reason, count in Tally(letter.rejected.reason for letter in batch.dead_letters).items():
            self.rejected.labels(reason).inc(count)
        for name, count in batch.ignored.items():
            self.ignored.labels(name).inc(count)
        for reason, count in batch.not_judged.items():
            self.not_judged.labels(reason).inc(count)
        for name, count in batch.remarks.items():
            self.input_remarks.labels(name).inc(count)
        self.input_forgotten.inc(batch.forgotten)
        self.waveforms_stored.inc(len(batch.waveforms))
        self.batch_seconds.observe(seconds)

    def values(self) -> list[tuple[dict[str, str], dict[str, float]]]:
        """Return (labels, name -> value) for every set of labels; of histograms count and sum, not the buckets.

        The names are those of `/metrics` without their prefix.
        """
        found: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
        for metric in self.shown.collect():
            for sample in metric.samples:
                if not sample.name.endswith(("_bucket", "_created")):
                    values = found.setdefault(tuple(sorted(sample.labels.items())), {})
                    values[sample.name.removeprefix(f"{_PREFIX}_")] = sample.value
        return [(dict(labels), values) for labels, values in found.items()]

    def count_notification(self, handler: str, outcome: str, seconds: float) -> None:
        """Count one attempt of a handler, and its latency if it was the last one."""
        self.notifications.labels(handler, outcome).inc()
        if outcome == "sent":
            self.notification_latency.observe(seconds)


class _Both(Collector):
    """Two processes' metrics as one: of what both have, the sum; when something began, the earlier time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.other: Families = {}

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
            ours = [(name, labels, value) for name, labels, value, *_ in metric.samples]
            for name, labels, value in [*ours, *self.other.get(metric.name, [])]:
                key = name, tuple(sorted(labels.items()))
                known = samples.get(key)
                samples[key] = (
                    value if known is None else min(known, value) if name.endswith("_created") else known + value
                )
            both = Metric(metric.name, metric.documentation, metric.type)
            for (name, labels_of), value in samples.items():
                both.add_sample(name, dict(labels_of), value)
            yield both
