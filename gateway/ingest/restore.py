"""A pipeline that takes up where the journal ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from gateway.config import Config, expected_sensors, quotas_of, rules_for
from gateway.domain.engine.id_window import LOOK_BACK
from gateway.domain.inputs.status import Signals, state_topics, status_topics
from gateway.domain.inputs.topics import TopicTemplates
from gateway.ingest.executor import Executor
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal

if TYPE_CHECKING:
    from gateway.domain.inputs.specs import InputSpec
    from gateway.ingest.mapped import MappedInputs

log = structlog.get_logger(__name__)


def signals_of(config: Config) -> Signals:
    """Return the topics on which machines and sensors say how they are: configured, else beside the readings'."""
    mqtt = config.mqtt
    states = state_topics(mqtt.topics) if mqtt.state_topic is None else [mqtt.state_topic]
    statuses = status_topics(mqtt.topics) if mqtt.status_topic is None else [mqtt.status_topic]
    return Signals([topic for topic in states if topic], [topic for topic in statuses if topic])


def mapped_inputs(specs: Sequence[InputSpec], receive_maximum: int) -> MappedInputs | None:
    """Return the inputs, if there are any: what reads them is imported only then."""
    if not specs:
        return None
    from gateway.ingest.mapped import MappedInputs  # noqa: PLC0415 - as above

    return MappedInputs(specs, 2 * receive_maximum)


def restored_pipeline(
    config: Config, journal: Journal, templates: TopicTemplates, inputs: MappedInputs | None = None
) -> Pipeline:
    """Return a pipeline that takes up where the journal ends; what is asked of the journal is executed with it."""
    pipeline = Pipeline(
        journal,
        templates,
        lambda sensor: rules_for(config, sensor.published_id, sensor.tags),
        config.detection.clock_tolerance,
        config.detection.lateness,
        expected=expected_sensors(config),
        signals=signals_of(config),
        inputs=inputs,
        usage=quotas_of(config),
        longest_shelving_ns=config.alerts.max_shelving,
        sensors_move=config.gateway.sensors_move,
    )
    journal.execute = Executor(journal, pipeline).execute
    start = time.perf_counter()
    saved = journal.saved(LOOK_BACK, inputs.window if inputs else 0)
    replayed = pipeline.restore(saved)
    seconds = round(time.perf_counter() - start, 3)
    log.info("state restored from the journal", sensors=len(saved.sensors), readings_replayed=replayed, seconds=seconds)
    return pipeline
