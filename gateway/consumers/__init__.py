"""Each follows the journal with a durable cursor of its own: one file for each, and one line in the table below."""

BUILT_IN = {  # type -> by name, so that only what the configuration asks for is imported
    "influxdb": "gateway.consumers.influx.writer:InfluxWriter",
    "memory": "gateway.consumers.memory:MemoryConsumer",
    "otel": "gateway.consumers.otel.exporter:Exporter",
}
SECTIONS = {"influxdb": "influx", "otel": "otel"}
"""Types with a section of their own in the configuration -> the name of that one's cursor."""
