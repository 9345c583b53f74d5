"""A real ranking process: what it says, what it holds, and how it ends."""

import asyncio
import gc
import os
import signal
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from agents.ranking.frames import Asked
from agents.ranking.program import RankingPrograms
from agents.ranking.ranker import Ranker
from agents.ranking.shared_model import mapped, share
from recommender.catalogue import Catalogue, Charts
from recommender.encoding import EMPTY, History
from recommender.history import apply
from recommender.model import Model
from recommender.ranking import RankingConfig, Request, rank
from schemas.errors import InvalidModel, ModelNotHeld, RankingEnded
from schemas.recommendations import Cause, Timings, decode_recommendations
from tests.builders import play, user_id

TRACKS = 400
CONFIG = RankingConfig(length=20)
IDS = np.arange(1, TRACKS + 1)
CATALOGUE = Catalogue("v7", IDS, IDS % 40 + 1)
CHARTS = Charts("c", IDS[:9].copy(), np.arange(9, 0, -1))


def model_of(seed: int) -> Model:
    rows = np.random.default_rng(seed).normal(scale=0.3, size=(TRACKS, 8)).astype(np.float32)
    fitted, ones = np.arange(TRACKS) % 7 > 0, np.ones(TRACKS, np.float32)
    return Model.build(f"model-{seed}", IDS, rows, fitted, ones, 0.1, 5.0)


def asked_by(user: int, tracks: int) -> Asked:
    history = EMPTY
    for seq in range(tracks):
        history = apply(
            history, play((user * 37 + seq * 11) % TRACKS + 1, seq=seq, server_time_ms=seq * 1_000)
        )
    return Asked(
        user_id=user_id(user),
        partition=user % 12,
        offset=100 + user,
        history=history,
        played=None if user % 3 else user + 1,
        cause=("play", "s", user, 5) if user % 2 else None,
        accepted_ms=1_000.0 + user,
        folded_ms=2_000.5,
    )


@pytest.fixture
async def ranker() -> AsyncIterator[Ranker]:
    with RankingPrograms(2) as programs:
        async with Ranker(programs, CONFIG, "generation") as one:
            yield one


@pytest.mark.parametrize("brief", [False, True])
async def test_messages_hold_what_rank_returns_in_the_order_asked_for(ranker: Ranker, brief: bool) -> None:
    model = await ranker.hold(model_of(1))
    await ranker.surround(CATALOGUE, CHARTS)
    asked = [asked_by(user, tracks=user % 30) for user in range(50)]

    found = await ranker.rank(model.model_id, asked, brief=brief)

    requests = [Request(a.user_id, a.partition, a.offset, History(a.history), a.played) for a in asked]
    pages = rank(requests, model_of(1), CATALOGUE, CHARTS, CONFIG, rails=not brief)
    assert any(page.rails for page in pages) != brief
    for one, page, message in zip(asked, pages, found.messages, strict=True):
        told = decode_recommendations(message)
        assert (told.items, told.rails, told.brief) == (page.items, page.rails, brief)
        assert (told.partition, told.offset) == (one.partition, one.offset)
        assert (told.model_id, told.charts_id, told.catalogue_version) == ("model-1", "c", "v7")
        assert (told.generation, told.ranking_version) == ("generation", CONFIG.version)
        assert told.cause == (
            None if one.cause is None else Cause(type="play", session="s", seq=one.cause[2], track_id=5)
        )
        assert told.timings == Timings(
            accepted_ms=one.accepted_ms, folded_ms=one.folded_ms, ranked_ms=found.ranked_ms
        )


async def test_without_a_model_lists_come_from_the_charts(ranker: Ranker) -> None:
    await ranker.surround(CATALOGUE, CHARTS)

    found = await ranker.rank(None, [asked_by(1, tracks=0)], brief=False)

    told = decode_recommendations(found.messages[0])
    assert told.model_id is None
    assert set(IDS[:9].tolist()) <= {item.track_id for item in told.items}


async def test_new_charts_leave_the_catalogue_in_use(ranker: Ranker) -> None:
    await ranker.surround(CATALOGUE, Charts.empty())
    await ranker.surround(CATALOGUE, CHARTS)

    found = await ranker.rank(None, [asked_by(1, tracks=0)], brief=False)

    told = decode_recommendations(found.messages[0])
    assert (told.charts_id, told.catalogue_version) == ("c", "v7")


async def test_lists_are_ranked_while_a_model_is_made_ready(ranker: Ranker) -> None:
    await ranker.surround(CATALOGUE, CHARTS)
    first = await ranker.hold(model_of(1))

    coming = asyncio.create_task(ranker.hold(model_of(2)))
    found = await ranker.rank(first.model_id, [asked_by(1, tracks=5)], brief=False)
    second = await coming

    assert decode_recommendations(found.messages[0]).model_id == "model-1"
    found = await ranker.rank(second.model_id, [asked_by(1, tracks=5)], brief=False)
    assert decode_recommendations(found.messages[0]).model_id == "model-2"
    assert ranker.models_alive == 2


async def test_a_model_that_was_let_go_is_out_of_memory_and_ranks_nothing(ranker: Ranker) -> None:
    await ranker.surround(CATALOGUE, CHARTS)
    for seed in (1, 2):
        await ranker.hold(model_of(seed))
        await ranker.rank(f"model-{seed}", [asked_by(1, tracks=5)], brief=False)  # caches are filled

    await ranker.keep({"model-2"})

    assert ranker.models_alive == 1
    with pytest.raises(ModelNotHeld, match="model-1"):
        await ranker.rank("model-1", [asked_by(1, tracks=5)], brief=False)
    assert (await ranker.rank("model-2", [asked_by(1, tracks=5)], brief=False)).messages


async def test_a_model_whose_equations_have_no_solution_is_told_and_the_process_goes_on(
    ranker: Ranker,
) -> None:
    damaged = replace(model_of(1), model_id="damaged", gram=-1e6 * np.eye(8))
    await ranker.surround(CATALOGUE, CHARTS)
    await ranker.hold(damaged)
    await ranker.hold(model_of(2))

    with pytest.raises(InvalidModel, match="damaged"):
        await ranker.rank("damaged", [asked_by(1, tracks=5)], brief=False)
    assert (await ranker.rank("model-2", [asked_by(1, tracks=5)], brief=False)).messages


async def test_a_refusal_keeps_nothing_alive_that_its_caller_held(ranker: Ranker) -> None:
    """The next model waits until the refused one is gone: it must not wait for a collection of cycles."""
    await ranker.surround(CATALOGUE, CHARTS)
    gc.collect()
    gc.disable()
    try:
        gone = await refused(ranker)
        await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


async def refused(ranker: Ranker) -> "weakref.ref[Model]":
    """Ask for lists of a model that the process does not hold; return what still refers to it."""
    held = model_of(3)
    try:
        await ranker.rank(held.model_id, [asked_by(1, tracks=5)], brief=False)
    except ModelNotHeld:
        return weakref.ref(held)
    raise AssertionError("ranked by a model that is not held")


async def test_a_process_that_dies_fails_all_that_waits_for_it(ranker: Ranker) -> None:
    await ranker.surround(CATALOGUE, CHARTS)
    os.kill(ranker.pids[0], signal.SIGSTOP)
    waiting = [asyncio.create_task(ranker.rank(None, [asked_by(1, tracks=3)], brief=False))]
    watching = asyncio.create_task(ranker.run())
    await asyncio.sleep(0.05)
    # the other one is idle, and ranks
    assert len((await ranker.rank(None, [asked_by(2, tracks=3)], brief=False)).messages) == 1
    waiting.append(asyncio.create_task(ranker.hold(model_of(1))))  # every process has to hold it
    waiting.append(asyncio.create_task(ranker.keep([])))
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in (*waiting, watching))

    os.kill(ranker.pids[0], signal.SIGKILL)

    for task in (*waiting, watching):
        with pytest.raises(RankingEnded, match=str(ranker.pids[0])):
            await asyncio.wait_for(task, 10)


async def test_a_defect_in_the_process_is_told_with_its_place(ranker: Ranker) -> None:
    broken = asked_by(1, tracks=3)._replace(history=b"not a history")

    with pytest.raises(RankingEnded, match=r"(?s)not a history|InvalidSnapshot"):
        await ranker.rank(None, [broken], brief=False)


def test_the_process_ends_with_the_one_that_it_ranks_for() -> None:
    with RankingPrograms(2) as programs:
        for program in programs.each:
            program.connection.close()
            assert program.process.wait(20) == 0


def test_programs_that_do_not_end_are_killed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.ranking.program._STOP_S", 0.5)
    with RankingPrograms(2) as programs:
        for program in programs.each:
            program.process.send_signal(signal.SIGSTOP)

    assert [program.process.returncode for program in programs.each] == [-signal.SIGKILL] * 2


def test_a_shared_model_equals_the_one_that_was_given_and_is_one_memory() -> None:
    model = model_of(3)
    shared, descriptor = share(model)
    try:
        first, second = mapped(shared, descriptor), mapped(shared, descriptor)
    finally:
        os.close(descriptor)

    for name in ("track_ids", "factor_rows", "gram", "fitted", "popularity"):
        given, held = getattr(model, name), getattr(first, name)
        assert held.dtype == given.dtype
        assert np.array_equal(held, given)
        assert np.array_equal(getattr(second, name), given)
        assert not held.flags.writeable
    assert (first.model_id, first.reg_param, first.alpha) == ("model-3", 0.1, 5.0)
