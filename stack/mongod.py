"""The embedded mongod: a replica set of one member, journaled, on loopback."""

import asyncio
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from schemas.errors import MissingRequirement
from schemas.settings import Settings
from stack.child import Program

REPLICA_SET = "segue"
_CACHE_GB = "0.25"
_NOT_INITIATED = 94
_ALREADY_INITIATED = 23
_FIX = "install MongoDB's mongod and set SEGUE_MONGOD to it, or use a MongoDB elsewhere by SEGUE_MONGODB_URL"


def find_mongod(settings: Settings) -> Path:
    """Return the mongod to start: ``SEGUE_MONGOD``, else the one on PATH, else the wheel's.

    Raises
    ------
    MissingRequirement
        There is none; the message names the fix.
    """
    if settings.mongod is not None:
        if not settings.mongod.is_file():
            raise MissingRequirement(f"SEGUE_MONGOD is {settings.mongod}, but there is no such file: {_FIX}.")
        return settings.mongod
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    for place in _wheel_folders():
        program = place / "db" / "bin" / "mongod"
        if program.is_file():
            if not os.access(program, os.X_OK):
                program.chmod(0o755)
            return program
    raise MissingRequirement(f"mongod was not found on PATH or in a wheel: {_FIX}.")


def _wheel_folders() -> list[Path]:
    spec = importlib.util.find_spec("fiftyone")  # a namespace package without code
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []


def prepare_mongod(settings: Settings) -> Program:
    """Make the folder and return what to start.

    Raises
    ------
    MissingRequirement
        There is no mongod.
    """
    folder = settings.data_dir.resolve() / "mongod"
    folder.mkdir(parents=True, exist_ok=True)
    command = (
        *(str(find_mongod(settings)), "--dbpath", str(folder), "--replSet", REPLICA_SET),
        *("--bind_ip", "127.0.0.1", "--port", str(settings.mongodb_port), "--nounixsocket"),
        "--quiet",
        *("--wiredTigerCacheSizeGB", _CACHE_GB, "--setParameter", "diagnosticDataCollectionEnabled=false"),
    )
    log_file = settings.data_dir.resolve() / "logs" / "mongod.log"
    return Program(name="mongod", command=command, log_file=log_file, stop_within_s=5.0)


async def mongod_is_primary(settings: Settings) -> bool:
    """Return whether the MongoDB in use takes writes; the embedded one is made a replica set first."""
    return await asyncio.to_thread(_is_primary, settings)


def _is_primary(settings: Settings) -> bool:
    embedded = settings.mongodb_url is None
    address = f"mongodb://127.0.0.1:{settings.mongodb_port}/" if embedded else settings.mongodb_address
    timeout_ms = 1000 if embedded else 5000
    client: MongoClient[dict[str, Any]] = MongoClient(
        address,
        directConnection=True if embedded else None,
        serverSelectionTimeoutMS=timeout_ms,
        connectTimeoutMS=timeout_ms,
    )
    try:
        if embedded:
            _ensure_member(client, f"127.0.0.1:{settings.mongodb_port}")
        return bool(client.admin.command("hello").get("isWritablePrimary"))
    except PyMongoError:
        return False
    finally:
        client.close()


def _ensure_member(client: MongoClient[dict[str, Any]], host: str) -> None:
    member = {"_id": 0, "host": host}
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != _NOT_INITIATED:
            raise
        _initiate(client, {"_id": REPLICA_SET, "version": 1, "members": [member]})
        return
    if [known["host"] for known in config["members"]] != [host]:
        # the folder was made with another SEGUE_MONGODB_PORT
        config = {**config, "version": config["version"] + 1, "members": [{**config["members"][0], **member}]}
        client.admin.command("replSetReconfig", config, force=True)


def _initiate(client: MongoClient[dict[str, Any]], config: dict[str, Any]) -> None:
    try:
        client.admin.command("replSetInitiate", config)
    except OperationFailure as error:
        if error.code != _ALREADY_INITIATED:
            raise
