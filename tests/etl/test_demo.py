"""The demo catalogue really sounds: measured, not heard."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from connections.documents import open_documents
from etl import demo
from etl.demo_sound import SAMPLE_RATE_HZ
from etl.demo_styles import STYLES
from schemas.settings import Settings


def test_there_are_48_tracks_in_six_styles_by_16_artists() -> None:
    tracks = demo.demo_tracks()
    assert Counter(track.style for track in tracks) == dict.fromkeys(STYLES, 8)
    assert len({track.artist for track in tracks}) == 16
    assert len({track.title for track in tracks}) == len({track.track_id for track in tracks}) == 48
    assert all(20 <= track.length_s <= 30 for track in tracks)


@pytest.mark.parametrize("style", STYLES)
def test_a_composer_is_deterministic_and_other_seeds_give_another_track(style: str) -> None:
    def compose(seed: int) -> np.ndarray:
        return STYLES[style](np.random.default_rng(seed), np.random.default_rng(7), 6.0)

    sound = compose(1)
    np.testing.assert_array_equal(sound, compose(1))
    assert np.abs(sound - compose(2)).max() > 0.05
    assert sound.dtype == np.float32
    assert len(sound) == 6 * SAMPLE_RATE_HZ


@pytest.mark.slow
@pytest.mark.timeout(300)  # 25 s of work on a free core
async def test_the_demo_catalogue_sounds_and_its_styles_differ(settings: Settings) -> None:
    async with open_documents(settings) as database:
        report = await demo.run(database, settings.data_dir)
        assert (report.tracks, report.synthesised, report.extracted) == (48, 48, 48)
        again = await demo.run(database, settings.data_dir)
        assert (again.synthesised, again.changed, again.kept, again.extracted) == (0, 0, 48, 0)
        assert again.catalogue_version == report.catalogue_version
        tracks = await database["tracks"].find({}).sort("_id", 1).to_list(None)
        features = await database["features"].find({}).sort("_id", 1).to_list(None)
    centroids = {style: [] for style in STYLES}
    for track in tracks:
        centroids[track["genres"][0]].append(_listen(settings.data_dir / track["audio"]["path"]))
        assert track["licence"] == "CC0 1.0 Universal"
    levels = {style: float(np.median(values)) for style, values in centroids.items()}
    ordered = sorted(levels.values())
    assert all(high / low > 1.1 for low, high in pairwise(ordered)), levels
    scaled = np.array([each["scaled"] for each in features])
    styles = np.array([track["genres"][0] for track in tracks])
    distances = ((scaled[:, None] - scaled[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (styles == styles[distances.argmin(axis=1)]).mean() >= 0.8


def _listen(path: Path) -> float:
    """Return the spectral centroid in Hz after checking that the file neither clips nor is silent."""
    sound, rate_hz = soundfile.read(path)
    assert rate_hz == 44_100
    assert 0.3 < np.abs(sound).max() < 0.99
    assert 0.05 < np.sqrt(np.mean(sound**2)) < 0.4
    second = sound[: len(sound) // rate_hz * rate_hz].reshape(-1, rate_hz)
    assert np.sqrt((second[:-2] ** 2).mean(axis=1)).min() > 0.01, "a second of silence"
    assert abs(sound.mean()) < 0.01
    spectrum = np.abs(np.fft.rfft(sound))
    return float((spectrum * np.fft.rfftfreq(len(sound), 1 / rate_hz)).sum() / spectrum.sum())
