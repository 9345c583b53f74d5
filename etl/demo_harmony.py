"""Scales, chords, melodies and bars of the demo catalogue."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from etl.demo_sound import Sound

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)
DORIAN = (0, 2, 3, 5, 7, 9, 10)
PENTATONIC = (0, 2, 4, 7, 9)


def degree(scale: tuple[int, ...], root: int, number: int) -> int:
    """Return the MIDI pitch of a degree of a scale (0 is the root; any number of octaves)."""
    octave, step = divmod(number, len(scale))
    return root + 12 * octave + scale[step]


def chord(scale: tuple[int, ...], root: int, number: int, size: int) -> list[int]:
    """Return the pitches of the chord of thirds on a degree."""
    return [degree(scale, root, number + 2 * voice) for voice in range(size)]


@dataclass(frozen=True, slots=True)
class Motif:
    """A short melody: ``(step, degree)`` pairs."""

    notes: tuple[tuple[int, int], ...]


def motif(rng: np.random.Generator, steps: int, density: float, reach: int) -> Motif:
    """Draw a melody of small intervals that stays within ``reach`` degrees of the root."""
    notes: list[tuple[int, int]] = []
    at = 0
    for step in range(steps):
        at = int(np.clip(at + rng.integers(-2, 3), -1, reach))
        if step == 0 or rng.random() < density:
            notes.append((step, at))
    return Motif(tuple(notes))


def bars_for(bpm: float, length_s: float, steps: int) -> tuple[float, int]:
    """Return the length of one step and the number of bars of four beats that begin within ``length_s``."""
    bar_s = 240.0 / bpm
    return bar_s / steps, int(np.ceil(length_s / bar_s))


class NoteBank:
    """Renders each pitch and length once: a track repeats few notes often."""

    def __init__(self, render: Callable[[float, float], Sound]) -> None:
        self._render = render
        self._notes: dict[tuple[float, float], Sound] = {}

    def __call__(self, pitch: float, length_s: float) -> Sound:
        """Return the note."""
        key = (pitch, round(length_s, 4))
        if key not in self._notes:
            self._notes[key] = self._render(pitch, length_s)
        return self._notes[key]
