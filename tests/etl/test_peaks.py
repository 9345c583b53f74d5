"""The waveform's peaks: of the whole sound, whatever its length and however it arrives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from etl.peaks import STRETCH_MAX, Envelope, peaks


def drawn(sound: np.ndarray, stated: int | None = None, block: int = 8 * STRETCH_MAX) -> list[int]:
    """Return the peaks of a sound that arrives in blocks."""
    envelope = Envelope(len(sound) if stated is None else stated)
    for start in range(0, len(sound), block):
        envelope.add(sound[start : start + block])
    return peaks(envelope.magnitudes())


@given(st.integers(20_000, 300_000), st.floats(0.01, 1.0))
def test_peaks_are_200_values_with_the_loudest_at_255(length: int, level: float) -> None:
    found = drawn((level * np.sin(np.arange(length) * 0.37)).astype(np.float32))
    assert len(found) == 200
    assert max(found) == 255
    assert min(found) >= 0


def test_peaks_follow_the_envelope() -> None:
    assert peaks(np.linspace(0, 1, 20_000, dtype=np.float32), 4) == [64, 127, 191, 255]
    rising = np.linspace(0, 1, 1_000_000, dtype=np.float32)
    rising[::2] *= -1
    np.testing.assert_allclose(drawn(rising), np.linspace(1.275, 255, 200), atol=0.6)


def test_a_header_that_lies_about_the_length_hardly_moves_the_peaks() -> None:
    rising = np.linspace(0, 1, 1_000_000, dtype=np.float32)
    for stated in (900_000, 2_000_000):
        np.testing.assert_allclose(drawn(rising, stated), drawn(rising), atol=2)


def test_the_peak_of_a_click_stands_where_the_click_is() -> None:
    sound = np.full(44_100 * 30, 0.001, dtype=np.float32)
    sound[44_100 * 15 + 20] = -0.5
    found = drawn(sound)
    assert found[100] == 255
    assert sorted(found)[-2] <= 1


def test_a_sample_that_is_no_number_is_found_anywhere() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        sound = np.zeros(100_000, dtype=np.float32)
        sound[77_777] = bad
        envelope = Envelope(len(sound))
        envelope.add(sound)
        assert np.isfinite(envelope.magnitudes()).sum() == len(envelope.magnitudes()) - 1


def test_silence_has_flat_peaks() -> None:
    assert drawn(np.zeros(50_000, dtype=np.float32)) == [0] * 200
