"""A taken port is named with its setting and its holder."""

import os
import socket
from collections.abc import Iterator

import pytest

from schemas.errors import MissingRequirement
from schemas.settings import Settings
from stack.ports import check_ports, is_free, wanted_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_its_setting_and_its_holder(taken: int) -> None:
    with pytest.raises(MissingRequirement) as caught:
        check_ports(Settings(mongodb_port=taken))
    message = str(caught.value)
    assert f"Port {taken} (SEGUE_MONGODB_PORT)" in message
    assert f"(pid {os.getpid()})" in message
    assert "\n" not in message


def test_a_port_that_nobody_holds_is_free(taken: int) -> None:
    assert not is_free("127.0.0.1", taken)
    assert is_free("127.0.0.1", 0)


def test_one_port_for_two_uses_is_refused() -> None:
    with pytest.raises(MissingRequirement, match=r"SEGUE_KAFKA_PORT and SEGUE_MONGODB_PORT are both 27999"):
        check_ports(Settings(mongodb_port=27999, kafka_port=27999))


def test_external_parts_need_no_port_here() -> None:
    settings = Settings(kafka_bootstrap_servers="kafka:9092", mongodb_url="mongodb://mongo/", workers=2)
    assert [name for name, _, _ in wanted_ports(settings)] == [
        "SEGUE_WORKER_METRICS_PORT",
        "SEGUE_WORKER_METRICS_PORT",
        "SEGUE_WEB_METRICS_PORT",
        "SEGUE_WEB_PORT",
    ]


def test_only_the_web_port_listens_beyond_loopback() -> None:
    settings = Settings(web_host="0.0.0.0")
    beyond = {name for name, address, _ in wanted_ports(settings) if address != "127.0.0.1"}
    assert beyond == {"SEGUE_WEB_PORT"}
