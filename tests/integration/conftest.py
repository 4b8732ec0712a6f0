from collections.abc import Iterator

import pytest

from tests.faults.proxy import FaultProxy
from tests.servers.mosquitto import Mosquitto


@pytest.fixture
def proxy(mosquitto: Mosquitto) -> Iterator[FaultProxy]:
    server = FaultProxy(mosquitto.port)
    server.start()
    yield server
    server.stop()
