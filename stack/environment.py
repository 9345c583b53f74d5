"""The environment of child processes: where the parts of this stack are."""

import os
from collections.abc import Mapping

from schemas.errors import InvalidInput
from schemas.settings import Settings
from stack.folder import StackState, running_state

# what says where the world is; anything else a caller may set anew for one command
_WHERE = (
    "SEGUE_DATA_DIR",
    "SEGUE_KAFKA_BOOTSTRAP_SERVERS",
    "SEGUE_MONGODB_URL",
    "SEGUE_MONGODB_DATABASE",
    "SEGUE_TOPIC_PREFIX",
)
_SECRETS = ("SEGUE_SECRET_KEY",)


def stack_environment(settings: Settings) -> dict[str, str]:
    """Return every ``SEGUE_`` variable of this process, with the addresses in use filled in."""
    given = {name: value for name, value in os.environ.items() if name.startswith("SEGUE_")}
    return {
        **given,
        "SEGUE_DATA_DIR": str(settings.data_dir.resolve()),
        "SEGUE_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_address,
        "SEGUE_MONGODB_URL": settings.mongodb_address,
        "SEGUE_MONGODB_DATABASE": settings.mongodb_database,
        "SEGUE_TOPIC_PREFIX": settings.topic_prefix,
    }


def recorded_environment(settings: Settings) -> dict[str, str]:
    """Return what the state file keeps: the same without secrets."""
    return {name: value for name, value in stack_environment(settings).items() if name not in _SECRETS}


def verb_environment(settings: Settings, *, needs_stack: bool) -> dict[str, str]:
    """Return the whole environment for a command that works on the running stack.

    Raises
    ------
    InvalidInput
        No stack runs in the data folder, and the settings do not name Kafka and MongoDB elsewhere.
    """
    state = running_state(settings)
    if state is not None:
        return {**state["environment"], **os.environ, **_where(state)}
    elsewhere = settings.kafka_bootstrap_servers is not None and settings.mongodb_url is not None
    if needs_stack and not elsewhere:
        raise InvalidInput(
            f"No stack is running in {settings.data_dir.resolve()}: start it with `segue up`, set "
            "SEGUE_DATA_DIR to its folder, or set SEGUE_KAFKA_BOOTSTRAP_SERVERS and SEGUE_MONGODB_URL."
        )
    return {**os.environ, "SEGUE_DATA_DIR": str(settings.data_dir.resolve())}


def _where(state: StackState) -> Mapping[str, str]:
    known = state["environment"]
    return {name: known[name] for name in _WHERE if name in known}
