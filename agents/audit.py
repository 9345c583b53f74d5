"""Audit: fold the log again, independently of any worker, and compare with what the workers hold."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from agents.inspection import user_hashes
from connections.event_log import LogReader
from recommender.partition import PartitionState
from recommender.windows import Outcome
from schemas.errors import LogMismatch, MalformedEvent, Unavailable
from schemas.recommendations import decode_recommendations
from schemas.settings import Settings
from schemas.topics import RECOMMENDATIONS

_TIMEOUT = aiohttp.ClientTimeout(total=60)


async def held_states(ports: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return what the workers hold, by partition; the furthest where two hold the same.

    Raises
    ------
    Unavailable
        No worker answers on any of ``ports`` of 127.0.0.1.
    """
    held: dict[int, dict[str, Any]] = {}
    answered = 0
    problems: list[str] = []
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        for port in ports:
            try:
                async with session.get(f"http://127.0.0.1:{port}/state?users=1") as response:
                    states = (await response.json())["partitions"]
            except aiohttp.ClientError as error:
                problems.append(f"port {port}: {error}")
                continue
            answered += 1
            for state in states:
                known = held.get(state["partition"])
                if known is None or known["position"] < state["position"]:
                    held[state["partition"]] = state
    if not answered:
        raise Unavailable(f"no worker answers ({'; '.join(problems)}): is one running? (segue status)")
    return held


async def fold_again(reader: LogReader, partition: int, end: int) -> tuple[PartitionState, dict[str, int]]:
    """Return the fold of a partition below ``end``, and each user's last applied offset."""
    state = PartitionState(partition)
    last: dict[str, int] = {}
    async for records in reader.read_tuples(partition, 0, end):
        for result in state.fold(records):
            if result.outcome is Outcome.APPLIED and result.user_id is not None:
                last[result.user_id] = result.offset
        await asyncio.sleep(0)
    return state, last


async def newest_list_offsets(settings: Settings, generation: str) -> dict[str, int]:
    """Return the offset that each user's newest list reflects."""
    newest: dict[str, int] = {}
    async with LogReader(settings, RECOMMENDATIONS) as reader:
        for partition, end in (await reader.end_offsets()).items():
            async for records in reader.read(partition, 0, end):
                for record in records:
                    if record.key is None or record.value is None:
                        continue
                    try:
                        message = decode_recommendations(record.value)
                    except MalformedEvent:
                        continue
                    if message.generation == generation:
                        user_id = record.key.decode()
                        newest[user_id] = max(newest.get(user_id, -1), message.offset)
    return newest


async def audit(settings: Settings, ports: Sequence[int]) -> dict[str, Any]:
    """Compare every partition; return the totals and one entry per partition.

    ``lost`` and ``double`` count applied events that the workers' states lack or have too many; users whose
    histories differ although the counts agree count as lost. ``pending`` offsets are not yet folded.
    ``lists_behind`` counts users whose newest list does not reflect their last applied event.

    Raises
    ------
    Unavailable, LogMismatch
        No worker or broker answers; a worker holds another log.
    """
    held = await held_states(ports)
    entries = []
    async with LogReader(settings) as reader:
        generation = await reader.generation()
        lists = await newest_list_offsets(settings, generation)
        for partition, end in (await reader.end_offsets()).items():
            state = held.get(partition)
            if state is not None and state["generation"] not in (None, generation):
                raise LogMismatch(f"a worker holds log {state['generation']}, the broker has {generation}")
            position = 0 if state is None else int(state["position"])
            expected, last = await fold_again(reader, partition, position)
            behind = sum(lists.get(user_id, -1) < offset for user_id, offset in last.items())
            entries.append(_entry(expected, state, end, behind))
    return summed(entries)


def summed(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the totals over all partitions."""
    names = [name for name in entries[0] if name != "partition"]
    totals: dict[str, Any] = {name: sum(int(entry[name]) for entry in entries) for name in names}
    return totals | {"partitions": list(entries)}


def _entry(expected: PartitionState, held: Mapping[str, Any] | None, end: int, behind: int) -> dict[str, int]:
    counts = {} if held is None else held["counts"]
    applied = int(counts.get(Outcome.APPLIED.value, 0))
    lost = max(0, expected.counts[Outcome.APPLIED] - applied)
    double = max(0, applied - expected.counts[Outcome.APPLIED])
    if held is not None and held["digest"] != expected.digest() and not lost and not double:
        hashes, mine = held.get("users", {}), user_hashes(expected)
        differing = sum(hashes.get(user) != mine.get(user) for user in {*hashes, *mine})
        lost = max(1, differing)
    return {
        "partition": expected.partition,
        "applied": applied,
        "duplicates": int(counts.get(Outcome.DUPLICATE.value, 0)),
        "late": int(counts.get(Outcome.LATE.value, 0)),
        "dead": int(counts.get(Outcome.DEAD.value, 0)),
        "control": int(counts.get(Outcome.CONTROL.value, 0)),
        "pending": end - expected.position,
        "lost": lost,
        "double": double,
        "lists_behind": behind,
    }
