"""Row F23: bad audio, the six clips that FMA broke, files that kill or hang the decoder: each has its reason.

One run of the real pipeline over all of them, with good clips between; the run ends and the good are loaded.
"""

import csv
import os
import shutil
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from connections.documents import open_documents
from etl import fma
from etl.features import NAMES
from etl.known_clips import DEFECTS
from etl.pool import ClipFile, Outcome, extract_all
from schemas.settings import Settings
from tests.etl.conftest import COLUMNS
from tests.faults.ledger import Ledger, Tally

RATE_HZ = 22_050
BROKEN = {
    "derived-000002-cut-mid-frame.mp3": "cut",
    "derived-html-error-page.mp3": "undecodable",
    "derived-random-bytes.mp3": "undecodable",
    "derived-zero-bytes.mp3": "empty file (0 bytes)",
    "mutagen-106-invalid-streaminfo.flac": "undecodable",
    "mutagen-bad-xing.mp3": "cut",
    "mutagen-empty.ogg": "too short",
    "mutagen-silence-44-s.mp3": "too short",
    "mutagen-too-short.mp3": "undecodable",
}
GOOD = {2: "000002.mp3", 459: "000459.mp3", 690: "000690.mp3"}
KILLS, KILLS_TOO, HANGS = 501, 502, 503


class _Kills:
    """Arrives in the decoder's process as its end: stands for a file on which the decoder crashes."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (11,)


class _Hangs:
    """Arrives in the decoder's process as a long sleep: stands for a file on which the decoder hangs."""

    def __reduce__(self) -> tuple[Callable[[float], object], tuple[float]]:
        return time.sleep, (600.0,)


_POISON = {KILLS: _Kills(), KILLS_TOO: _Kills(), HANGS: _Hangs()}


def poisoned(files: Iterable[ClipFile]) -> Generator[Outcome, None, None]:
    """Extract as ever, in real processes, but let some files do to the decoder what no file here does."""
    described = {file.track_id: file for file in files}
    handed = (
        replace(file, expected_s=_POISON[file.track_id]) if file.track_id in _POISON else file
        for file in described.values()
    )
    # six seconds: enough for a clip on a busy machine
    for file, outcome in extract_all(handed, processes=2, deadline_s=6.0):
        yield described[file.track_id], outcome


def write_metadata(folder: Path, track_ids: Iterable[int]) -> Path:
    """Write FMA's `tracks.csv` with a row of 30 s for each track, and `genres.csv`."""
    folder.mkdir()
    told = {("track", "duration"): "30", ("track", "genres"): "[12]", ("artist", "name"): "Somebody"}
    with (folder / "tracks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", *(group for group, _ in COLUMNS)])
        writer.writerow(["", *(name for _, name in COLUMNS)])
        writer.writerow(["track_id", *([""] * len(COLUMNS))])
        for track_id in track_ids:
            cells = {**told, ("track", "title"): f"Track {track_id}", ("artist", "id"): str(track_id)}
            writer.writerow([track_id, *(cells.get(column, "") for column in COLUMNS)])
    (folder / "genres.csv").write_text("genre_id,#tracks,parent,title,top_level\n12,1,0,Rock,12\n")
    return folder


def write_known(folder: Path) -> dict[int, str]:
    """Write stand-ins of the six known clips: three of about 1 s, three without audio; return the kinds."""
    sound = 0.3 * np.sin(np.arange(44_100) * 0.05)
    expected = {}
    for number, defect in DEFECTS.items():
        path = folder / f"{number:06d}.mp3"
        expected[number] = "too short"
        if "1 s" in defect:
            soundfile.write(path, sound, 44_100)
        elif number == 99134:
            path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x00")  # an empty tag, and nothing behind it
            expected[number] = "undecodable"
        elif number == 108925:
            path.touch()
            expected[number] = "empty file (0 bytes)"
        else:
            soundfile.write(path, np.zeros(30 * 44_100), 44_100)
            expected[number] = "silent"
    return expected


def write_wrong(folder: Path, clip: Path) -> dict[int, str]:
    """Write files that decode to what cannot be used; return the kinds of reason by track."""
    sound = 0.3 * np.sin(np.arange(30 * RATE_HZ) * 0.1)
    sound[1_000] = np.nan
    soundfile.write(folder / "000301.wav", sound, RATE_HZ, subtype="FLOAT")
    sound[1_000] = 1e20
    soundfile.write(folder / "000302.wav", sound, RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "000303.flac", np.full(30 * RATE_HZ, 1e-5), RATE_HZ, subtype="PCM_24")
    soundfile.write(folder / "000304.ogg", sound[2_000 : 20 * RATE_HZ], RATE_HZ)
    (folder / "000305.mp3").write_bytes(clip.read_bytes()[:300_000])
    for number in (KILLS, KILLS_TOO, HANGS):
        shutil.copy(clip, folder / f"{number:06d}.mp3")
    return {
        301: "holds samples that are not numbers",
        302: "beyond any scale",
        303: "silent",
        304: "length far from expected",
        305: "cut",
        KILLS: "the decoder's process died on it",
        KILLS_TOO: "the decoder's process died on it",
        HANGS: "not decoded within 6 s",
    }


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_each_bad_file_is_marked_with_its_reason_and_the_run_ends(
    settings: Settings, sample_data: Path, tmp_path: Path, ledger: Ledger
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    expected = write_known(clips) | write_wrong(clips, sample_data / "fma-audio" / "000002.mp3")
    for number, (name, kind) in enumerate(BROKEN.items(), start=101):
        shutil.copy(sample_data / "broken-audio" / name, clips / f"{number:06d}{Path(name).suffix}")
        expected[number] = kind
    for name in GOOD.values():
        shutil.copy(sample_data / "fma-audio" / name, clips / name)
    metadata = write_metadata(tmp_path / "metadata", [*GOOD, *expected])
    async with open_documents(settings) as database:
        report = await fma.run(database, metadata, clips, engine=poisoned)
        assert (report.tracks, report.extracted) == (len(GOOD) + len(expected), len(GOOD))
        rejected = {
            int(each["_id"].removeprefix("fma:")): each["reason"]
            async for each in database["rejected_tracks"].find({})
        }
        heard = await database["tracks"].find({"audio": {"$ne": None}}).sort("_id", 1).to_list(None)
        features = await database["features"].find({}).sort("_id", 1).to_list(None)
        again = await fma.run(database, metadata, clips, processes=1)
        assert (again.extracted, again.kept, again.changed) == (0, len(GOOD), 0)
    assert {number: reason.split(":")[0] for number, reason in rejected.items()} == expected
    for number in DEFECTS:
        assert "known defect of FMA" in rejected[number]
    assert sum(report.known_bad_clips.values()) == len(DEFECTS) == 6
    assert sum(report.rejected_files.values()) == len(expected) - len(DEFECTS)
    assert [track["_id"] for track in heard] == [each["_id"] for each in features] == list(GOOD)
    vectors = np.array([each["raw"] for each in features])
    assert vectors.shape == (len(GOOD), len(NAMES))
    assert np.isfinite(vectors).all()
    given = len(GOOD) + len(expected)
    tally = Tally("F23", "bad audio; dead: refused", 0, sent=given, acknowledged=given, applied=len(heard))
    tally.dead, tally.kills = len(rejected), 2
    tally.lost = given - len(heard) - len(rejected)
    ledger.note(tally)
    assert tally.lost == 0
