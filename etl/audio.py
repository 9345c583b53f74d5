"""Decode one file with libsndfile, block by block, and refuse what cannot be used.

Other decoders shift the MFCC: libsndfile is part of the definition of the features.
"""

import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from etl.peaks import STRETCH_MAX, Envelope, peaks
from schemas.errors import UnreadableAudio

SAMPLE_RATE_HZ = 22_050
MIN_LENGTH_S = 5.0
MAX_ANALYSED_S = 600.0
SILENCE_RMS = 3e-4  # -70 dBFS; dithered silence lies near 4e-6
LENGTH_TOLERANCE = 0.2
MAX_SAMPLE = 1e6  # full scale is 1; float files may hold more
RATES_HZ = (4_000, 384_000)
_CUT_SHARE = 0.9
_BLOCK_SAMPLES = 131_072  # 512 KiB stay in the processor's cache between decoding and downmix

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """One decoded file.

    Attributes
    ----------
    samples : float32 [n], mono, 22,050 Hz, the first ten minutes at most; empty unless analysed
    peaks : 200 values 0..255 over the whole file
    length_ms : decoded length of the whole file
    """

    samples: Samples
    peaks: list[int]
    length_ms: int


def read_clip(path: Path, expected_s: tuple[float, ...] = (), *, analyse: bool = True) -> Clip:
    """Return the decoded file: downmixed by equal weights, resampled by soxr (HQ) to 22,050 Hz.

    Parameters
    ----------
    path : any file that libsndfile reads
    expected_s : lengths of which one must be met within 20 %; empty: any
    analyse : False: decode and check only, return no samples

    Raises
    ------
    UnreadableAudio
        Not a file, empty, not audio, cut, shorter than 5 s, silent in its first ten minutes, with
        samples that are not numbers or beyond any scale, of an unusual rate, or of another length.
    """
    size = _size(path)
    try:
        with _Forwards(path) as sound:
            decoded = _decode(sound, analyse)
    # TypeError: soundfile wants to be told the rate of a file named .raw
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise UnreadableAudio(f"undecodable: {_describe(path)} ({size} bytes)") from error
    length_s = decoded.frames / decoded.rate_hz
    _check_length(length_s, decoded.stated / decoded.rate_hz, expected_s)
    magnitudes = decoded.envelope.magnitudes()
    if not np.isfinite(magnitudes).all():
        raise UnreadableAudio("holds samples that are not numbers")
    if magnitudes.max() > MAX_SAMPLE:
        raise UnreadableAudio(f"beyond any scale: a sample of {magnitudes.max():.0e}, full scale is 1")
    if decoded.rms < SILENCE_RMS:
        raise UnreadableAudio(f"silent: RMS {decoded.rms:.1e}, at least {SILENCE_RMS:.0e} is needed")
    return Clip(decoded.samples(), peaks(magnitudes), round(length_s * 1000))


class _Forwards(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read once, from its beginning to its end.

    soundfile seeks after every read of a file that can seek, to where it is already; a decoder of MP3
    then decodes several frames again.
    """

    def seekable(self) -> bool:
        return False


class _Decoded:
    """What one pass over a file leaves: sound for the analysis, and what the checks need."""

    def __init__(self, rate_hz: int, stated: int, analyse: bool) -> None:
        self.rate_hz = rate_hz
        self.stated = stated
        self.frames = 0
        self.envelope = Envelope(stated)
        self._analyse = analyse
        self._limit = int(MAX_ANALYSED_S * rate_hz)
        self._energy = 0.0
        self._kept: list[Samples] = []
        self._resampler = None
        if analyse and rate_hz != SAMPLE_RATE_HZ:
            # in a stream: at 192 kHz ten minutes take 460 MB before, 53 MB after
            self._resampler = soxr.ResampleStream(
                rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="soxr_hq"
            )

    def add(self, mono: Samples) -> None:
        self.envelope.add(mono)
        analysed = mono[: max(0, self._limit - self.frames)]
        self.frames += len(mono)
        if not len(analysed):
            return
        with np.errstate(over="ignore", invalid="ignore"):  # the envelope tells of such samples
            self._energy += float(np.dot(analysed, analysed))
        if self._resampler is not None:
            self._kept.append(self._resampler.resample_chunk(analysed))
        elif self._analyse:
            self._kept.append(analysed)

    @property
    def rms(self) -> float:
        """Root mean square of the part that is analysed."""
        return float(np.sqrt(self._energy / max(1, min(self.frames, self._limit))))

    def samples(self) -> Samples:
        """Return the sound at 22,050 Hz, as long as librosa's; empty unless analysed."""
        if not self._analyse:
            return np.zeros(0, dtype=np.float32)
        if self._resampler is not None:
            self._kept.append(self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
        wanted = int(np.ceil(min(self.frames, self._limit) * SAMPLE_RATE_HZ / self.rate_hz))
        missing = wanted - sum(map(len, self._kept))
        joined = np.concatenate([*self._kept, np.zeros(max(0, missing), dtype=np.float32)])
        return joined[:wanted]


def _decode(sound: soundfile.SoundFile, analyse: bool) -> _Decoded:
    rate_hz, channels = int(sound.samplerate), int(sound.channels)
    low, high = RATES_HZ
    if not low <= rate_hz <= high:
        raise UnreadableAudio(f"unusual sample rate: {rate_hz:,} Hz, from {low:,} to {high:,} are accepted")
    decoded = _Decoded(rate_hz, int(sound.frames), analyse)
    stretches = max(1, _BLOCK_SAMPLES // channels // STRETCH_MAX)
    buffer = np.empty((stretches * STRETCH_MAX, channels), dtype=np.float32)
    downmix = np.full(channels, 1.0 / channels, dtype=np.float32)
    while len(block := sound.read(out=buffer)):
        # a dot product: librosa.to_mono, a strided mean, takes 35 times as long
        decoded.add(block @ downmix if channels > 1 else block[:, 0].copy())
    return decoded


def _size(path: Path) -> int:
    """Return the size of a regular file that is not empty."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnreadableAudio(f"cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        # a named pipe would be waited for until the deadline
        raise UnreadableAudio("not a file: a folder, a device or a named pipe")
    if found.st_size == 0:
        raise UnreadableAudio("empty file (0 bytes)")
    return found.st_size


def _describe(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(256).lstrip().lower()
    except OSError as error:
        return f"cannot be read, {error.strerror}"
    if start.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return "an HTML page, not audio"
    return "not audio that libsndfile can read"


def _check_length(length_s: float, stated_s: float, expected_s: tuple[float, ...]) -> None:
    # a cut MP3 decodes without error, and its header still states the full length
    if length_s < _CUT_SHARE * stated_s:
        raise UnreadableAudio(f"cut: decodes to {length_s:.2f} s of the {stated_s:.2f} s in its header")
    if length_s < MIN_LENGTH_S:
        raise UnreadableAudio(f"too short: decodes to {length_s:.2f} s, at least {MIN_LENGTH_S:g} s needed")
    if expected_s and all(abs(length_s - each) > LENGTH_TOLERANCE * each for each in expected_s):
        wanted = " or ".join(f"{each:g} s" for each in expected_s)
        raise UnreadableAudio(f"length far from expected: decodes to {length_s:.2f} s instead of {wanted}")
