"""What a part of the gateway is, and what the parts of its two halves are given: ingest, and what follows the journal.

The halves know each other by ports only: commands to the one writer, a stream that is woken, how ingest is, and what is
published over MQTT. So they can be two processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from gateway.app.broker import BrokerSide
from gateway.app.tasks import Tasks
from gateway.commands import Commands
from gateway.config import Config
from gateway.consumers.delivery import Notifier
from gateway.consumers.runner import Runner
from gateway.domain.engine.commands import Writer
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal, QueryPool, Stream, Upkeep
from gateway.journal.maintenance.retention import Report
from gateway.plugins.registry import Plugins
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Condition, Health

if TYPE_CHECKING:
    from gateway.fleet.centre import Centre

S = TypeVar("S")


class IngestSide(Struct, frozen=True):
    """What takes messages from the broker, judges them and writes the journal, built before anything starts.

    `to_measure` is set when there are new waveforms. `consumers` are the cursors of those who follow the journal;
    for those that are `waited_for` entries are kept as long as possible.
    """

    config: Config
    plugins: Plugins
    journal: Journal
    stream: Stream
    pipeline: Pipeline
    broker: BrokerSide
    to_measure: asyncio.Event
    consumers: Sequence[str]
    waited_for: Sequence[str]
    upkeep: Upkeep
    health: Health
    metrics: Metrics
    report: Report

    def act_on(self, batch: UnitOfWork) -> None:
        """Do what a stored batch asks for beside the journal."""
        if self.broker.edge_nodes is not None:
            self.broker.edge_nodes.send(batch.publications)
        if batch.waveforms:
            self.to_measure.set()


class FollowerSide(Struct, frozen=True):
    """What follows the journal, built before anything starts. `listener` is the page's socket, if there is a page.

    `centre` is there if this gateway is the centre of a fleet, `report` tells of what is wrong with a part of it.
    """

    config: Config
    plugins: Plugins
    writer: Writer
    stream: Stream
    questions: QueryPool
    notifier: Notifier
    runners: Mapping[str, Runner]
    commands: Commands
    condition: Condition
    metrics: Metrics
    listener: Any
    report: Report
    centre: Centre | None = None


class Component(Struct, Generic[S], frozen=True):
    """A part of the gateway: its name, whether it is wanted, and what it does for as long as we run."""

    name: str
    is_wanted: Callable[[S], bool]
    run: Callable[[S], Awaitable[None]]


def start(components: Sequence[Component[S]], side: S, tasks: Tasks) -> None:
    """Start those of these that are wanted."""
    for each in components:
        if each.is_wanted(side):
            tasks.start(each.name, each.run(side))
