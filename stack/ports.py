"""Which ports the stack needs, and who holds one that is taken."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import psutil

from schemas.errors import MissingRequirement
from schemas.settings import Settings


def wanted_ports(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Yield ``(setting, address, port)`` of everything that `segue up` will listen on."""
    if settings.mongodb_url is None:
        yield "SEGUE_MONGODB_PORT", "127.0.0.1", settings.mongodb_port
    if settings.kafka_bootstrap_servers is None:
        yield "SEGUE_KAFKA_PORT", "127.0.0.1", settings.kafka_port
        yield "SEGUE_KAFKA_CONTROLLER_PORT", "127.0.0.1", settings.kafka_controller_port
    for index in range(settings.workers):
        yield "SEGUE_WORKER_METRICS_PORT", "127.0.0.1", settings.worker_metrics_port + index
    yield "SEGUE_WEB_METRICS_PORT", "127.0.0.1", settings.web_metrics_port
    yield "SEGUE_WEB_PORT", settings.web_host, settings.web_port


def check_ports(settings: Settings) -> None:
    """Return when every wanted port is free.

    Raises
    ------
    MissingRequirement
        One is taken, or wanted twice; the message names the port, its setting and the holder.
    """
    seen: dict[int, str] = {}
    for setting, address, port in wanted_ports(settings):
        if port in seen:
            raise MissingRequirement(f"{setting} and {seen[port]} are both {port}: give one another port.")
        seen[port] = setting
        if not is_free(address, port):
            raise MissingRequirement(
                f"Port {port} ({setting}) is taken by {holder(port)}: "
                f"stop that program or set {setting} to another port."
            )


def is_free(address: str, port: int) -> bool:
    """Return whether one can listen there.

    Raises
    ------
    MissingRequirement
        The address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
            listener.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise MissingRequirement(f"One cannot listen on {address}:{port}: {error.strerror}.") from error
    return True


def holder(port: int) -> str:
    """Return the program that listens on a port, as ``name (pid n)``."""
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status != psutil.CONN_LISTEN or not address or not connection.pid:
                continue
            if address.port == port:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass  # without the right to look; the port is named all the same
    return "another program"


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 on which nobody listens now."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]
