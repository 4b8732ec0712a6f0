import os
import socket
from collections import deque

HOST = "127.0.0.1"
HELD_AT_MOST = 200  # a process may have 1024 files open

_held: deque[int] = deque()  # file descriptors


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that stays this process's own, also while the server on it is down.

    The port stays bound, without listening, so neither the kernel nor a parallel test worker hands it to anybody
    else. A server that binds it explicitly with SO_REUSEADDR (all of ours do) still gets it.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    port = int(holder.getsockname()[1])
    _held.append(holder.detach())
    if len(_held) > HELD_AT_MOST:
        os.close(_held.popleft())
    return port


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
