"""Whatever fits the description of the HTTP API is answered as it describes, from a real journal."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from prometheus_client import CollectorRegistry
from schemathesis.specs.openapi.checks import positive_data_acceptance

from gateway.commands import Commands
from gateway.config import load
from gateway.consumers.live_state import Live
from gateway.domain.alerting.alert import describe
from gateway.journal import QueryPool, Reader, Stream
from gateway.queries import Queries
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from tests.examples import examples
from tests.readings import plant, reading

TOKEN = "secret"
CONFIG = """
[gateway]
id = "edge-1"
state_dir = "{state_dir}"
[mqtt]
topics = ["vibration/{{site}}/{{area}}/{{machine}}/{{sensor}}/reading"]
[http]
"""


async def live_of(reader: Reader) -> Live:
    live = Live()
    live.seed(reader.sensors(), [describe(alert) for alert in reader.alerts(everything=False)])
    await live.consume(list(reader.last_readings().values()), [])
    return live


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("api")
    (folder / "gateway.toml").write_text(CONFIG.format(state_dir=folder / "state"))
    with plant(folder / "state") as here, here.reader() as reader:
        here.take(*(reading(second, 8.0 if second > 5 else 4.0) for second in range(10)))
        stream, questions = Stream(here.journal, here.path), QueryPool(here.path)
        operations = Commands(here.journal, stream)
        config = load(folder / "gateway.toml", {})
        answers = Queries(config, questions, operations, list)
        live = asyncio.run(live_of(reader))
        services = Services(live, answers, list, CollectorRegistry(), operations, TOKEN)
        app = create_app(services, PageSettings("edge-1", ["vibration/{site}/{sensor}/reading"]))
        yield schemathesis.openapi.from_asgi("/openapi.json", app).exclude(path="/api/v1/stream")
        questions.close()
        stream.close()


def test_what_fits_the_description_is_answered_as_it_says(described: Any) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:

        @settings(examples(25), suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            headers = {"Host": "localhost", "Authorization": f"Bearer {TOKEN}"}
            # A text is not always a time, and since is before until: that is beyond what a description can say.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        check()
