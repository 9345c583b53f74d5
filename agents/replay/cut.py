"""The cut of a replay: an offset for each partition, below which the log is folded."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from connections.event_log import LogReader
from schemas import events
from schemas.errors import InvalidInput, LogMismatch, MalformedEvent
from schemas.topics import PLAYS

Cut = dict[int, int]


def parse_until(text: str, now_ms: int) -> int:
    """Return the time that a user gave, milliseconds since 1970.

    A date means its first moment, UTC.

    Raises
    ------
    InvalidInput
        Not ISO 8601, without a zone, or in the future.
    """
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            when = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            when = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"--until {text}: no date or time by ISO 8601, such as 2026-05-01 or 2026-05-01T18:30:00Z"
        ) from None
    if when.tzinfo is None:
        raise InvalidInput(f"--until {text} has no zone: write {text}Z for UTC, or {text}+02:00")
    until_ms = round(when.timestamp() * 1000)
    if until_ms < 0:
        raise InvalidInput(f"--until {text} lies before 1970: there was no log then")
    if until_ms > now_ms:
        raise InvalidInput(f"--until {text} lies in the future: leave it out to fold everything there is")
    return until_ms


async def cut_at_end(reader: LogReader) -> Cut:
    """Return the end of every partition as it is now."""
    return await reader.end_offsets()


async def cut_until(reader: LogReader, until_ms: int) -> Cut:
    """Return the cut below which everything was accepted before a time.

    It is the first record that Kafka stamped at or after the time and whose own ``server_time_ms`` is at or
    after it too. Kafka stamps a record when it is sent, which is after it was accepted: what was accepted
    just before the time and sent just after it is below the cut, wherever it stands among the first of those
    sent later. A record that cannot be decoded has no time and cuts nothing.

    Raises
    ------
    InvalidInput
        The log began later.
    """
    cut = await reader.end_offsets()
    for partition, first in (await reader.offsets_at(until_ms)).items():
        if first is not None:
            cut[partition] = await _first_accepted(reader, partition, first, cut[partition], until_ms)
    if min(cut.values()) < 1:
        began_ms = max([await _server_time(reader, partition) for partition in cut])
        raise InvalidInput(f"the log was begun at {_iso(began_ms)}: there is nothing before {_iso(until_ms)}")
    return cut


def read_offsets(path: Path, generation: str) -> Cut:
    """Return the offsets in a file: ``{"0": 17, ...}``, a manifest, or what `segue snapshot --json` printed.

    Raises
    ------
    InvalidInput
        The file cannot be read, or holds something else.
    LogMismatch
        It names another log.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} holds no JSON object {{partition: offset}}")
    named = found.get("generation", generation)
    if named != generation:
        raise LogMismatch(
            f"{path} is of log {named}, and this is log {generation}: offsets mean nothing in another log"
        )
    return {_number(path, "partition", p): _number(path, "offset", o) for p, o in _pairs(path, found).items()}


def _pairs(path: Path, found: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        if "parts" in found:
            return {part["partition"]: part["cut"] for part in found["parts"]}
        pairs = found.get("cut", found)
        return {name: pairs[name] for name in pairs}
    except (TypeError, KeyError):
        raise InvalidInput(f"{path} holds neither {{partition: offset}} nor a manifest") from None


def _number(path: Path, what: str, given: object) -> int:
    try:
        if isinstance(given, int | str) and not isinstance(given, bool) and str(given).isdecimal():
            return int(given)
    except ValueError:
        pass  # thousands of digits
    raise InvalidInput(f"{path}: {given!r} is no {what}")


def checked(cut: Cut, ends: Mapping[int, int]) -> Cut:
    """Return the cut in the order of partitions, once it lies within the log.

    Raises
    ------
    InvalidInput
        A partition is missing or does not exist, or an offset is beyond the end or not beyond the log's name.
    """
    wanted = range(PLAYS.partitions)
    if missing := sorted(set(wanted) - set(cut)):
        raise InvalidInput(f"offsets are missing for partition(s) {', '.join(map(str, missing))}")
    if strange := sorted(set(cut) - set(wanted)):
        raise InvalidInput(
            f"there is no partition {', '.join(map(str, strange))}: the log has 0 to {PLAYS.partitions - 1}"
        )
    for partition in wanted:
        if cut[partition] > ends[partition]:
            raise InvalidInput(
                f"offset {cut[partition]} of partition {partition} is beyond its end, {ends[partition]}"
            )
        if cut[partition] < 1:
            raise InvalidInput(
                f"offset {cut[partition]} of partition {partition} leaves nothing: record 0 names the log, "
                "so the least is 1"
            )
    return {partition: cut[partition] for partition in wanted}


async def _first_accepted(reader: LogReader, partition: int, first: int, end: int, until_ms: int) -> int:
    async for records in reader.read(partition, first, end):
        for record in records:
            try:
                if events.decode(record.value).server_time_ms >= until_ms:
                    return record.offset
            except MalformedEvent:
                continue
    return end


async def _server_time(reader: LogReader, partition: int) -> int:
    async for records in reader.read(partition, 0, 1):
        return events.decode(records[0].value).server_time_ms
    return 0


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
