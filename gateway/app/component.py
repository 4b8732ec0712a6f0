"""What an optional part of the gateway is, and what every part is given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from gateway.app.broker import BrokerSide
from gateway.app.tasks import Tasks
from gateway.commands import Commands
from gateway.config import Config
from gateway.consumers.delivery import Notifier
from gateway.consumers.runner import Runner
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal, QueryPool, Stream, Upkeep
from gateway.journal.maintenance.retention import Report
from gateway.plugins.registry import Plugins
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Health


class Built(Struct, frozen=True):
    """Everything that is built before anything starts.

    `listener` is the page's socket, if there is to be a page; `to_measure` is set when there are new waveforms.
    """

    config: Config
    plugins: Plugins
    journal: Journal
    stream: Stream
    pipeline: Pipeline
    questions: QueryPool
    broker: BrokerSide
    to_measure: asyncio.Event
    notifier: Notifier
    runners: Mapping[str, Runner]
    commands: Commands
    upkeep: Upkeep
    health: Health
    metrics: Metrics
    report: Report
    listener: Any

    def act_on(self, batch: UnitOfWork) -> None:
        """Do what a stored batch asks for beside the journal."""
        if self.broker.edge_nodes is not None:
            self.broker.edge_nodes.send(batch.publications)
        if batch.waveforms:
            self.to_measure.set()


class Component(Struct, frozen=True):
    """A part of the gateway: its name, whether it is wanted, and what it does for as long as we run."""

    name: str
    is_wanted: Callable[[Built], bool]
    run: Callable[[Built], Awaitable[None]]


def start(components: tuple[Component, ...], built: Built, tasks: Tasks) -> None:
    """Start those of these that are wanted."""
    for each in components:
        if each.is_wanted(built):
            tasks.start(each.name, each.run(built))
