"""How long a training will still take."""

import pytest
from rich.console import Console

from connections.documents import open_documents
from schemas.settings import Settings
from training.estimate import Estimate, scaled
from training.progress import KIND, Progress, close_jobs


def test_what_is_left_is_the_rest_of_this_step_and_all_that_follow() -> None:
    estimate = Estimate(10, [4.0, 2.0, 1.0])
    assert estimate.left_s(1.0) == 6.0
    estimate.step_s.append(5.0)
    assert estimate.left_s(9.0) == 1.0
    assert Estimate(10).left_s(0.0) is None


def test_steps_grow_with_the_data_and_do_not_shrink_to_nothing() -> None:
    assert scaled([2.0, 1.0], then=100, now=300) == [6.0, 3.0]
    assert scaled([2.0], then=100, now=1) == [1.0]


async def test_the_next_training_says_how_much_is_left_by_the_one_before(settings: Settings) -> None:
    console = Console(record=True, width=120)
    async with open_documents(settings) as database:
        for size in (100, 200):
            estimate = await Estimate.of_last(database, KIND, 2, size)
            progress = Progress(database, f"training-{size}", 2, console, estimate=estimate)
            await progress.step("reading the snapshot")
            await progress.step("fitting on everything")
            await progress.end("done", "")
            if size == 100:
                done = {"_id": "training-100"}
                job = await database["jobs"].find_one(done)
                assert job is not None
                assert (len(job["step_s"]), job["left_s"]) == (2, None)
                await database["jobs"].update_one(done, {"$set": {"step_s": [3.0, 4.0]}})
    first, second = console.export_text().split("reading the snapshot")[1:]
    assert "left" not in first
    assert "(about 14 s left)" in second
    assert "(about 8 s left)" in second


async def test_a_job_whose_process_ended_is_closed_with_the_reason(settings: Settings) -> None:
    async with open_documents(settings) as database:
        progress = Progress(database, "training-1", 2, Console(quiet=True))
        await progress.step("reading the snapshot")
        await close_jobs(database, {"pid": 1}, "of another")
        job = await database["jobs"].find_one({})
        assert job is not None
        assert job["state"] == "running"
        await close_jobs(database, {"kind": KIND}, "its process ended before it could say why")
        job = await database["jobs"].find_one({})
        assert job is not None
        assert (job["state"], job["message"]) == ("failed", "its process ended before it could say why")


def test_no_size_gives_no_scale() -> None:
    assert scaled([2.0], then=0, now=5) == pytest.approx([2.0])
