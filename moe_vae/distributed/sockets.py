"""This process's TCP sockets, as Linux lists them, and how a server is kept to one address."""

import ctypes
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

__all__ = ["own_tcp_sockets", "restrict_listener"]

EPOLL_CTL_ADD = 1  # of Linux's `epoll_ctl`
# How /proc/self/fdinfo lists what a poller watches, for the descriptor in the braces.
WATCHED = r"^tfd: +{} events: +([0-9a-f]+) data: +([0-9a-f]+)"


class _EpollEvent(ctypes.Structure):
    """Linux's `struct epoll_event`."""

    _pack_ = 1 if os.uname().machine == "x86_64" else 0
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


def own_tcp_sockets() -> Iterator[tuple[int, socket.socket]]:
    """Yields the descriptor and a `socket.socket` of each of this process's TCP sockets."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            copy = os.dup(int(name))
        except OSError:  # closed since it was listed
            continue
        with socket.socket(fileno=copy) as opened:
            is_ip = opened.family in (socket.AF_INET, socket.AF_INET6)
            if is_ip and opened.type == socket.SOCK_STREAM:
                yield int(name), opened


def restrict_listener(ip: str, port: int) -> None:
    """Replaces this process's socket that listens on `port` by one that is bound to `ip` alone.

    TensorFlow takes the port from the cluster file and ignores the host: it listens on every
    address of the computer. The new socket takes over the file descriptor of TensorFlow's, and is
    registered with the same poller and the same data. The old one listens for about a millisecond.

    Args:
      ip: an IPv4 address of this computer.
      port: the port.

    Raises:
      OSError: the socket cannot be found or replaced.
    """
    descriptor = _listener_on(port)
    poller, watched = _poller_of(descriptor)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as new:
        new.setblocking(False)
        # As gRPC sets them. Connections inherit the second; without it every message is delayed.
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        os.dup2(new.fileno(), descriptor, inheritable=False)
        new.bind((ip, port))
        new.listen(socket.SOMAXCONN)
    libc = ctypes.CDLL(None, use_errno=True)
    event = _EpollEvent(*(int(number, 16) for number in watched))
    if libc.epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, ctypes.byref(event)):
        raise OSError(os.strerror(ctypes.get_errno()))


def _listener_on(port: int) -> int:
    """Returns the descriptor of this process's socket that listens on a port."""
    for descriptor, opened in own_tcp_sockets():
        is_listening = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        if is_listening and opened.getsockname()[1] == port:
            return descriptor
    raise OSError("no socket of this process listens there")


def _poller_of(descriptor: int) -> tuple[int, tuple[str, ...]]:
    """Returns the poller that watches a descriptor, and the events and data it registered."""
    pattern = WATCHED.format(descriptor)
    for path in Path("/proc/self/fdinfo").iterdir():
        match = path.exists() and re.search(pattern, path.read_text(), re.MULTILINE)
        if match:
            return int(path.name), match.groups()
    raise OSError("no poller of this process watches the socket")
