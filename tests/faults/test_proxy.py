"""The fault proxy does to connections what it is told to."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.proxy import FaultProxy
from tests.servers.ports import HOST
from tests.servers.waiting import until

TIMEOUT = 10.0


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(TIMEOUT)
        yield listener


@pytest.fixture
def proxy(server: socket.socket) -> Iterator[FaultProxy]:
    proxy = FaultProxy(server.getsockname()[1])
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def ends(server: socket.socket, proxy: FaultProxy) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a connection through the proxy."""
    with connected(proxy) as client, server.accept()[0] as served:
        served.settimeout(TIMEOUT)
        served.sendall(b".")
        assert client.recv(1) == b"."
        yield client, served


def connected(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), TIMEOUT)


def ended(end: socket.socket) -> bool:
    """Wait for the end of a connection."""
    try:
        return end.recv(1) == b""
    except ConnectionError:
        return True


Ends = tuple[socket.socket, socket.socket]


def test_passes_on_both_ways(proxy: FaultProxy, ends: Ends) -> None:
    client, served = ends
    client.sendall(b"to the server")
    assert served.recv(100) == b"to the server"
    served.sendall(b"and back")
    assert client.recv(100) == b"and back"
    assert len(proxy.accepted) == 1


def test_a_lot_arrives_whole(ends: Ends) -> None:
    client, served = ends
    data = bytes(range(256)) * 20_000
    threading.Thread(target=client.sendall, args=[data]).start()
    received = bytearray()
    while len(received) < len(data):
        received += served.recv(1_000_000)
    assert received == data


def test_delays(proxy: FaultProxy, ends: Ends) -> None:
    client, served = ends
    proxy.delay = 0.2
    began = time.monotonic()
    client.sendall(b"x")
    assert served.recv(1) == b"x"
    assert 0.2 <= time.monotonic() - began < 5


def test_cuts(proxy: FaultProxy, ends: Ends) -> None:
    proxy.cut()
    assert all(ended(end) for end in ends)


def test_half_closes(proxy: FaultProxy, ends: Ends) -> None:
    client, served = ends
    proxy.half_close()
    assert ended(client)
    client.sendall(b"still there")
    assert served.recv(100) == b"still there"
    served.sendall(b"for nobody")
    client.sendall(b"!")
    assert served.recv(1) == b"!"


def test_the_end_of_one_direction_leaves_the_other_open(ends: Ends) -> None:
    client, served = ends
    client.shutdown(socket.SHUT_WR)
    assert ended(served)
    served.sendall(b"the answer")
    assert client.recv(100) == b"the answer"


def test_a_black_hole_takes_and_passes_nothing_on(proxy: FaultProxy, ends: Ends, server: socket.socket) -> None:
    client, served = ends
    proxy.black_hole = True
    served.settimeout(0.1)
    client.sendall(b"lost")
    with pytest.raises(TimeoutError):
        served.recv(1)
    server.settimeout(0.1)
    with connected(proxy) as another:
        another.sendall(b"lost too")
        until(lambda: len(proxy.accepted) == 2, TIMEOUT, "the connection")
        with pytest.raises(TimeoutError):
            server.accept()


def test_truncates(proxy: FaultProxy, server: socket.socket) -> None:
    proxy.truncate_after = 5
    with connected(proxy) as client, server.accept()[0] as served:
        served.sendall(b"0123456789")
        assert client.recv(100) == b"01234"
        assert ended(client)


def test_closes_after_the_connack(proxy: FaultProxy, server: socket.socket) -> None:
    proxy.close_after_connack = True
    with connected(proxy) as client, server.accept()[0] as served:
        served.sendall(b"\x20\x02\x00\x00\x90\x03")
        assert client.recv(100) == b"\x20\x02\x00\x00"
        assert ended(client)


def test_refuses_and_accepts_again(proxy: FaultProxy, ends: Ends) -> None:
    proxy.refuse()
    assert all(ended(end) for end in ends)
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.accept()
    connected(proxy).close()


def test_stops_though_nobody_has_taken_its_connections(server: socket.socket) -> None:
    proxy = FaultProxy(server.getsockname()[1])
    proxy.start()
    with connected(proxy) as first, connected(proxy) as second:
        proxy.stop()
        assert ended(first)
        assert ended(second)
