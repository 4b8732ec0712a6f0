import asyncio
import socket

import pytest
from pytest_socket import SocketBlockedError


def test_a_unit_test_has_an_event_loop_and_no_network() -> None:
    asyncio.run(asyncio.sleep(0))
    with pytest.raises(SocketBlockedError), pytest.warns(UserWarning, match="tried to use socket"):
        socket.create_connection(("127.0.0.1", 1))
