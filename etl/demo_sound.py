"""Instruments and room of the demo catalogue. Everything is mono float32 at 44,100 Hz, made from a seed."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

SAMPLE_RATE_HZ = 44_100
_TABLE = 4096
_PEAK = 0.82  # leaves room for the overshoot of the MP3 encoder
_FADE_S = 1.2

Sound = NDArray[np.float32]


def frequency(midi: float) -> float:
    """Return the frequency in Hz of a MIDI pitch (69 is 440 Hz)."""
    return float(440.0 * 2.0 ** ((midi - 69.0) / 12.0))


def seconds(length_s: float) -> Sound:
    """Return the times of ``length_s`` seconds of samples."""
    return np.arange(int(length_s * SAMPLE_RATE_HZ), dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)


def envelope(length_s: float, attack_s: float, release_s: float, decay_s: float | None = None) -> Sound:
    """Return a linear attack and release, with an exponential decay between if ``decay_s`` is given."""
    t = seconds(length_s)
    shape = np.minimum(t / max(attack_s, 1e-3), 1.0) * np.minimum((length_s - t) / max(release_s, 1e-3), 1.0)
    if decay_s is not None:
        shape = shape * np.exp(-t / np.float32(decay_s))
    return np.asarray(shape, dtype=np.float32)


@lru_cache(maxsize=64)
def _wave(harmonics: tuple[float, ...]) -> Sound:
    phase = np.arange(_TABLE) * (2 * np.pi / _TABLE)
    wave = sum(level * np.sin((n + 1) * phase + n) for n, level in enumerate(harmonics))
    return np.asarray(wave / np.abs(wave).max(), dtype=np.float32)


def additive(
    hz: float, length_s: float, harmonics: tuple[float, ...], *, vibrato: float = 0.0, vibrato_hz: float = 5.2
) -> Sound:
    """Return a tone of given levels of harmonics (those above 16 kHz left out), with vibrato in semitones."""
    wave = _wave(harmonics[: max(1, int(16_000 / hz))])
    t = seconds(length_s)
    cycles = hz * t
    if vibrato:
        depth = hz * (2 ** (vibrato / 12) - 1) / (2 * np.pi * vibrato_hz)
        cycles = cycles + np.float32(depth) * np.sin(np.float32(2 * np.pi * vibrato_hz) * t)
    return np.asarray(wave[(cycles * _TABLE).astype(np.int64) & (_TABLE - 1)], dtype=np.float32)


def saw(brightness: float, count: int = 40) -> tuple[float, ...]:
    """Return the harmonics of a saw tooth, darker for a smaller ``brightness`` (about 0.6 to 1)."""
    return tuple(brightness**n / (n + 1) for n in range(count))


def fm(hz: float, length_s: float, ratio: float, index: float, index_decay_s: float) -> Sound:
    """Return a tone of two operators; the modulation dies away, as in bells and electric pianos."""
    t = seconds(length_s)
    turn = np.float32(2 * np.pi * hz)
    depth = np.float32(index) * np.exp(-t / np.float32(index_decay_s))
    return np.asarray(np.sin(turn * t + depth * np.sin(turn * np.float32(ratio) * t)), dtype=np.float32)


def pluck(hz: float, length_s: float, rng: np.random.Generator, *, damping: float = 0.996) -> Sound:
    """Return a plucked string (Karplus and Strong, 1983): a burst of noise, averaged once per period."""
    period = max(2, round(SAMPLE_RATE_HZ / hz))
    turns = int(length_s * SAMPLE_RATE_HZ) // period + 1
    line = rng.uniform(-1, 1, period).astype(np.float32)
    line = np.convolve(line, np.full(3, 1 / 3, np.float32), mode="same").astype(np.float32)
    rows = np.empty((turns, period), dtype=np.float32)
    for turn in range(turns):
        rows[turn] = line
        line = np.float32(damping * 0.5) * (line + np.roll(line, 1))
    return rows.reshape(-1)[: int(length_s * SAMPLE_RATE_HZ)]


def noise(length_s: float, rng: np.random.Generator) -> Sound:
    """Return white noise."""
    return rng.standard_normal(int(length_s * SAMPLE_RATE_HZ), dtype=np.float32)


def filtered(sound: Sound, kind: str, hz: float | tuple[float, float], order: int = 2) -> Sound:
    """Return the sound through a Butterworth filter (``lowpass``, ``highpass``, ``bandpass``)."""
    sections = butter(order, hz, kind, fs=SAMPLE_RATE_HZ, output="sos").astype(np.float32)
    return np.asarray(sosfilt(sections, sound), dtype=np.float32)


def kick(low_hz: float, sweep_hz: float, length_s: float = 0.3) -> Sound:
    """Return a bass drum: a sine that falls to ``low_hz``."""
    t = seconds(length_s)
    cycles = low_hz * t + sweep_hz * 0.03 * (1 - np.exp(-t / 0.03))
    return np.asarray(np.sin(2 * np.pi * cycles) * np.exp(-t / (length_s / 3)), dtype=np.float32)


def snare(rng: np.random.Generator, tone_hz: float = 190.0, length_s: float = 0.22) -> Sound:
    """Return a snare: a band of noise over a short tone."""
    t = seconds(length_s)
    body = np.sin(np.float32(2 * np.pi * tone_hz) * t) * np.exp(-t / 0.05)
    wires = filtered(noise(length_s, rng), "highpass", 1500) * np.exp(-t / 0.07)
    return np.asarray(0.5 * body + 0.4 * wires, dtype=np.float32)


def hat(rng: np.random.Generator, length_s: float = 0.06, low_hz: float = 7000.0) -> Sound:
    """Return a hi-hat: high noise."""
    t = seconds(length_s)
    sound = filtered(noise(length_s, rng), "highpass", low_hz) * np.exp(-t / np.float32(length_s / 4))
    return np.asarray(sound, dtype=np.float32)


class Tape:
    """A buffer on which sounds are laid at times; what would reach past the end is cut."""

    def __init__(self, length_s: float) -> None:
        self.sound: Sound = np.zeros(int(length_s * SAMPLE_RATE_HZ), dtype=np.float32)

    def lay(self, at_s: float, sound: Sound, level: float) -> None:
        """Add ``sound`` from ``at_s`` seconds on."""
        start = int(at_s * SAMPLE_RATE_HZ)
        stop = min(start + len(sound), len(self.sound))
        if 0 <= start < stop:
            self.sound[start:stop] += np.float32(level) * sound[: stop - start]


def room(sound: Sound, rng: np.random.Generator, *, length_s: float, wet: float, dark_hz: float) -> Sound:
    """Return the sound in a room: mixed with its convolution by decaying, darkened noise."""
    tail = filtered(noise(length_s, rng), "lowpass", dark_hz) * np.exp(-6.0 * seconds(length_s) / length_s)
    tail /= np.sqrt(np.sum(tail**2))
    echo = fftconvolve(sound, tail)[: len(sound)].astype(np.float32)
    return np.asarray((1 - wet) * sound + wet * echo, dtype=np.float32)


def master(sound: Sound, loudness: float) -> Sound:
    """Return the finished track: no rumble, RMS near ``loudness``, soft limit, fades, peak at most 0.82."""
    sound = filtered(sound, "highpass", 25.0)
    sound = sound * np.float32(loudness / max(float(np.sqrt(np.mean(sound**2))), 1e-9))
    sound = np.tanh(sound)
    fade = int(_FADE_S * SAMPLE_RATE_HZ)
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    sound[:441] *= np.linspace(0, 1, 441, dtype=np.float32)
    return sound * np.float32(min(1.0, _PEAK / float(np.abs(sound).max())))
