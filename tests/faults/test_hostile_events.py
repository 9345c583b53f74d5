"""F12 to F16: what is no event, too many of them, repeated, out of order, and by clocks that are wrong."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from aiokafka import AIOKafkaProducer

from connections.event_log import topic_name
from connections.intake import RejectedEvent, prepare
from connections.log_writer import LogWriter
from recommender.encoding import History
from schemas import events
from schemas.topics import DEAD_LETTERS, PLAYS
from tests.builders import DAY_MS, NOW_MS, play, skip, user_id
from tests.faults.hostile import malformed, one_megabyte
from tests.faults.ledger import LONG, Ledger, Tally
from tests.faults.load import Acknowledged
from tests.faults.scene import World, count, held_once
from tests.programs import WorkerProcess
from tests.worlds import TRACKS_MADE, records_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_200 if LONG else 240)]
Sent = list[tuple[str, events.UserEvent]]
_BATCH = 500
_YEAR_MS = 365 * DAY_MS


async def _ready(world: World) -> WorkerProcess:
    """Return the world's one worker once it holds every partition."""
    worker = await world.worker("first")
    await held_once(world, ["first"])
    return worker


async def _append(world: World, tally: Tally, sent: Sequence[tuple[str, events.UserEvent]]) -> None:
    async with LogWriter(world.settings) as writer:
        for start in range(0, len(sent), _BATCH):
            some = sent[start : start + _BATCH]
            await writer.append(PLAYS, [(user.encode(), events.encode(event)) for user, event in some])
    tally.sent += len(sent)
    tally.acknowledged += len({(user, event.session, event.seq) for user, event in sent})


def _with_effect(some: Iterable[tuple[str, events.UserEvent]]) -> Acknowledged:
    found = Acknowledged()
    for user, event in some:
        found.note(user, event)
    return found


async def _crashes(world: World) -> tuple[int, float]:
    """Return (agents that crashed, partitions restored): neither changes for the sake of an event."""
    return world.log_of("Crashed"), (await world.workers["first"].metrics())["segue_restores"]


async def test_f12_malformed_events_become_dead_letters_and_stop_nobody(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    worker = await _ready(world)
    process = worker.process
    tally = Tally("F12", "fuzz, one in five malformed", ledger.next_seed("F12"))
    draw = random.Random(tally.seed)
    users = [user_id(number) for number in world.fresh_users(100)]
    before = {key for key, _ in await records_of(world.settings, DEAD_LETTERS)}
    crashes = await _crashes(world)
    total = 100_000 if LONG else 2_000
    good, bad = Acknowledged(), 0
    huge = [one for _ in range(3 if LONG else 1) for one in one_megabyte(draw, users[0])]
    producer = AIOKafkaProducer(
        bootstrap_servers=world.settings.kafka_address, acks="all", max_request_size=1_048_576
    )
    async with producer:
        for seq in range(total):
            user = draw.choice(users)
            if draw.random() < 0.2:
                key, value = huge.pop() if huge else malformed(draw, user)
                bad += 1
            else:
                make = play if draw.random() < 0.8 else skip
                event = make(draw.randint(1, TRACKS_MADE), session="fuzz", seq=seq)
                key, value = user.encode(), events.encode(event)
                good.note(user, event)
            await producer.send(topic_name(world.settings, PLAYS), key=key, value=value)
    tally.sent, tally.acknowledged = total, len(good.accepted)

    await count(world, tally, good)
    letters = {key for key, _ in await records_of(world.settings, DEAD_LETTERS)} - before
    ledger.note(tally)

    assert (tally.lost, tally.double, tally.duplicates, tally.late) == (0, 0, 0, 0)
    assert (tally.applied, tally.dead, len(letters)) == (len(good.accepted), bad, bad)
    assert await _crashes(world) == crashes
    assert worker.process is process


def _repeated(draw: random.Random, users: Sequence[str], total: int) -> tuple[Sent, Sent]:
    """Return (events once each, all as sent): 30 % come 1 to 4 times more, up to days later.

    Each user has a new session every two events, more than are remembered.
    """
    once: Sent = []
    due: list[tuple[int, int]] = []
    counts: Counter[str] = Counter()
    later = 30 * len(users)  # about 30 events of the same user
    for at in range(total):
        user = draw.choice(users)
        session, seq = divmod(counts[user], 2)
        counts[user] += 1
        now_ms = NOW_MS + at * 60_000
        make = play if draw.random() < 0.8 else skip
        event = make(
            draw.randint(1, TRACKS_MADE),
            session=f"s{session}", seq=seq, client_time_ms=now_ms, server_time_ms=now_ms,
        )  # fmt: skip
        once.append((user, event))
        due.append((at, at))
        if draw.random() < 0.3:
            due += [(at + 1 + int(draw.expovariate(1 / later)), at) for _ in range(draw.randint(1, 4))]
    due.sort()
    return once, [once[which] for _, which in due]


async def test_f14_events_sent_again_hours_later_have_effect_once(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    await _ready(world)
    tally = Tally("F14", "3 in 10 sent 2 to 5 times", ledger.next_seed("F14"))
    draw = random.Random(tally.seed)
    users = [user_id(number) for number in world.fresh_users(2_000 if LONG else 50)]
    once, sent = _repeated(draw, users, 200_000 if LONG else 5_000)
    await _append(world, tally, sent)

    await count(world, tally, _with_effect(once))
    ledger.note(tally)

    assert (tally.applied, tally.lost, tally.double, tally.dead) == (len(once), 0, 0, 0)
    assert tally.duplicates + tally.late == len(sent) - len(once)
    assert tally.duplicates > 0
    assert tally.late > 0  # repeats of sessions that nobody remembers


async def test_f15_events_out_of_order_are_exact_within_64_and_counted_beyond(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    await _ready(world)
    tally = Tally("F15", "out of order, 1 in 20 by more than 64", ledger.next_seed("F15"))
    draw = random.Random(tally.seed)
    users = [user_id(number) for number in world.fresh_users(20)]
    each = (100_000 if LONG else 5_000) // len(users)
    sent: Sent = []
    for user in users:
        delays = [draw.uniform(65, 200) if draw.random() < 0.05 else draw.uniform(0, 60) for _ in range(each)]
        order = sorted(range(each), key=lambda seq, delays=delays: seq + delays[seq])
        sent += [(user, play(draw.randint(1, TRACKS_MADE), session="mixed", seq=seq)) for seq in order]
    highest: dict[str, int] = {}
    in_time: Sent = []
    for user, event in sent:
        highest[user] = max(highest.get(user, 0), event.seq)
        if highest[user] - event.seq < 64:
            in_time.append((user, event))
    await _append(world, tally, sent)

    await count(world, tally, _with_effect(in_time))
    ledger.note(tally)

    assert (tally.lost, tally.double, tally.dead, tally.duplicates) == (0, 0, 0, 0)
    assert (tally.applied, tally.late) == (len(in_time), len(sent) - len(in_time))
    assert 0 < tally.late < 0.06 * len(sent)


_WINTER, _SUMMER = timezone(timedelta(hours=1)), timezone(timedelta(hours=2))


def _client_time(draw: random.Random, clock_ms: int, now_ms: int) -> int | str:
    """Return what a client's clock says: a number, or a local time before or after the change of clocks."""
    said = now_ms + clock_ms
    if said < 0 or draw.random() < 0.5:
        return said
    zone = draw.choice([_WINTER, _SUMMER, UTC])
    return datetime.fromtimestamp(said / 1000, zone).isoformat()


async def test_f16_wrong_clocks_of_clients_decide_nothing(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    """Each device keeps its session and its wrong clock; then more sessions come than are remembered."""
    await _ready(world)
    tally = Tally("F16", "clients' clocks off by days and years", ledger.next_seed("F16"))
    draw = random.Random(tally.seed)
    users = [user_id(number) for number in world.fresh_users(20)]
    clocks = [0, DAY_MS, -DAY_MS, 10 * _YEAR_MS, -10 * _YEAR_MS, 3_600_000, -3_600_000, -NOW_MS, -2 * NOW_MS]
    seqs: Counter[tuple[str, str]] = Counter()
    sent: Sent = []
    refused = 0
    total = 10_000 if LONG else 1_000
    for at in range(total):
        user, now_ms = draw.choice(users), NOW_MS + at * 60_000
        device = draw.randrange(len(clocks))
        session = f"device-{device}" if at < 0.5 * total else f"later-{seqs[user, 'later']}"
        clock_ms = clocks[device] if at < 0.5 * total else 0
        seqs[user, "later"] += at >= 0.5 * total
        seqs[user, session] += 1
        incoming = {
            "type": "play", "session": session, "seq": seqs[user, session],
            "client_time": _client_time(draw, clock_ms, now_ms),
            "track_id": draw.randint(1, TRACKS_MADE), "end_reason": "finished",
            "listened_ms": 30_000, "track_ms": 30_000,
        }  # fmt: skip
        if now_ms + clock_ms < 0:
            with pytest.raises(RejectedEvent, match="client_time"):
                prepare([incoming], now_ms=now_ms)
            refused += 1
            continue
        [event] = prepare([incoming], now_ms=now_ms)
        assert event.server_time_ms == now_ms
        assert event.client_time_ms <= now_ms
        sent.append((user, event))
    await _append(world, tally, sent)

    histories = await count(world, tally, _with_effect(sent))
    tally.notes["refused for a time before 1970"] = refused
    ledger.note(tally)

    assert (tally.applied, tally.late, tally.lost, tally.double) == (len(sent), 0, 0, 0)
    newest_ms = {user: event.server_time_ms for user, event in sent}
    for user in users:
        history = History.from_bytes(histories[user])
        assert history.last_event_ms == newest_ms[user]
        assert int(history.interactions["last_s"].max()) == newest_ms[user] // 1_000


async def test_f13_a_user_of_fifty_thousand_plays_has_a_bounded_history(
    world: World, ledger: Ledger, fault_round: int
) -> None:
    await _ready(world)
    tally = Tally("F13", "50,000 plays of one user", ledger.next_seed("F13"))
    draw = random.Random(tally.seed)
    [number] = world.fresh_users(1)
    crashes = await _crashes(world)
    sent: Sent = []
    for seq in range(50_000):
        track = draw.randint(1, 5_000) if draw.random() < 0.1 else draw.randint(1, 400)
        now_ms = NOW_MS + seq * 30_000
        sent.append((user_id(number), play(track, session="many", seq=seq, server_time_ms=now_ms)))
    await _append(world, tally, sent)

    nobody = _with_effect([])
    history = (await count(world, tally, nobody))[user_id(number)]
    tally.notes["history [bytes]"] = len(history)
    ledger.note(tally)

    assert (tally.applied, tally.lost, tally.double) == (50_000, 0, 0)
    assert len(history) <= 200_000
    newest = {event.track_id for _, event in sent[-200:] if isinstance(event, events.Play)}
    assert newest <= set(History.from_bytes(history).interactions["track_id"].tolist())
    assert await _crashes(world) == crashes
