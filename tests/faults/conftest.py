from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.gateways import MortalGateway
from tests.faults.proxy import FaultProxy
from tests.faults.results import Recorder
from tests.servers.mosquitto import Mosquitto

Make = Callable[..., MortalGateway]


@pytest.fixture
def make(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Make]:
    """Make a gateway that is gone after the test; one that still runs has to end as it should."""
    made: list[MortalGateway] = []

    def make_gateway(broker: Mosquitto = mosquitto, **options: Any) -> MortalGateway:
        made.append(MortalGateway(tmp_path / f"gateway-{len(made)}", broker, **options))
        return made[-1]

    yield make_gateway
    for gateway in made:
        gateway.stop()


@pytest.fixture
def proxy(mosquitto: Mosquitto) -> Iterator[FaultProxy]:
    """Return a proxy before the broker."""
    server = FaultProxy(mosquitto.port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Recorder:
    """Return what writes a test's figures into the report, if there is to be one."""
    return Recorder(request.node)
