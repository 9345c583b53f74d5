"""Decode one clip with libsndfile and refuse what cannot be used.

Other decoders shift the MFCC: libsndfile is part of the definition of the features.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from schemas.errors import UnreadableAudio

SAMPLE_RATE_HZ = 22_050
MIN_LENGTH_S = 5.0
MAX_ANALYSED_S = 600.0
SILENCE_RMS = 3e-4  # -70 dBFS; dithered silence lies near 4e-6
LENGTH_TOLERANCE = 0.2
_CUT_SHARE = 0.9
_BLOCK_S = 30
PEAKS = 200

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """One decoded clip.

    Attributes
    ----------
    samples : float32 [n], mono, 22,050 Hz, the first ten minutes at most
    length_ms : decoded length of the whole file
    """

    samples: Samples
    length_ms: int


def read_clip(path: Path, expected_s: tuple[float, ...] = ()) -> Clip:
    """Return the decoded clip: downmixed, resampled by soxr (HQ) to 22,050 Hz.

    Parameters
    ----------
    path : any file that libsndfile reads
    expected_s : lengths of which one must be met within 20 %; empty: any

    Raises
    ------
    UnreadableAudio
        Empty, not audio, cut, shorter than 5 s, silent, not finite, or of another length.
    """
    mono, rate_hz, frames, stated = _decode(path)
    length_s = frames / rate_hz
    _check_length(length_s, stated / rate_hz, expected_s)
    if not np.isfinite(mono).all():
        raise UnreadableAudio("holds samples that are not numbers")
    rms = float(np.sqrt(np.mean(np.square(mono, dtype=np.float64))))
    if rms < SILENCE_RMS:
        raise UnreadableAudio(f"silent: RMS {rms:.1e}, at least {SILENCE_RMS:.0e} is needed")
    return Clip(_resample(mono, rate_hz), round(length_s * 1000))


def _decode(path: Path) -> tuple[Samples, int, int, int]:
    """Return mono samples (the first ten minutes), rate, decoded frames, frames that the header states."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableAudio(f"cannot be opened: {error.strerror}") from error
    if size == 0:
        raise UnreadableAudio("empty file (0 bytes)")
    try:
        with soundfile.SoundFile(path) as sound:
            return _read_blocks(sound)
    except (soundfile.LibsndfileError, RuntimeError, MemoryError) as error:
        kind = _describe(path)
        raise UnreadableAudio(f"undecodable: {kind} ({size} bytes)") from error


def _read_blocks(sound: soundfile.SoundFile) -> tuple[Samples, int, int, int]:
    rate_hz = int(sound.samplerate)
    downmix = np.full(sound.channels, 1.0 / sound.channels, dtype=np.float32)
    kept: list[Samples] = []
    frames = 0
    while len(block := sound.read(_BLOCK_S * rate_hz, dtype="float32", always_2d=True)):
        if frames < MAX_ANALYSED_S * rate_hz:
            # a dot product: librosa.to_mono, a strided mean, takes 35 times as long
            kept.append(block @ downmix)
        frames += len(block)
    mono = np.concatenate(kept) if kept else np.zeros(0, dtype=np.float32)
    return mono, rate_hz, frames, int(sound.frames)


def _describe(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(256).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return "an HTML page, not audio"
    return "not audio that libsndfile can read"


def _check_length(length_s: float, stated_s: float, expected_s: tuple[float, ...]) -> None:
    if length_s < MIN_LENGTH_S:
        raise UnreadableAudio(f"too short: decodes to {length_s:.2f} s, at least {MIN_LENGTH_S:g} s needed")
    # a cut MP3 decodes without error, and its header still states the full length
    if length_s < _CUT_SHARE * stated_s:
        raise UnreadableAudio(f"cut: decodes to {length_s:.2f} s of the {stated_s:.2f} s in its header")
    if expected_s and all(abs(length_s - each) > LENGTH_TOLERANCE * each for each in expected_s):
        wanted = " or ".join(f"{each:g} s" for each in expected_s)
        raise UnreadableAudio(f"length far from expected: decodes to {length_s:.2f} s instead of {wanted}")


def _resample(mono: Samples, rate_hz: int) -> Samples:
    if rate_hz == SAMPLE_RATE_HZ:
        return mono
    resampled: Samples = soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ, quality="soxr_hq")
    wanted = int(np.ceil(len(mono) * SAMPLE_RATE_HZ / rate_hz))  # as librosa.resample
    if len(resampled) < wanted:
        resampled = np.pad(resampled, (0, wanted - len(resampled)))
    return np.ascontiguousarray(resampled[:wanted], dtype=np.float32)


def waveform_peaks(samples: Samples, count: int = PEAKS) -> list[int]:
    """Return ``count`` values 0..255: the largest magnitude of each stretch, the loudest being 255."""
    edges = np.linspace(0, len(samples), count + 1).astype(np.int64)[:-1]
    magnitudes = np.maximum.reduceat(np.abs(samples), edges)
    loudest = float(magnitudes.max())
    if loudest <= 0.0:
        return [0] * count
    return [int(value) for value in np.rint(magnitudes * (255.0 / loudest))]
