"""Six styles, each with its own harmony, tempo, rhythm and timbre. A composer turns two seeds into a track.

The artist's seed decides timbre, so that an artist's tracks belong together; the track's seed decides key,
tempo, chords and melody.
"""

from collections.abc import Callable

import numpy as np

from etl import demo_sound as s
from etl.demo_harmony import DORIAN, MAJOR, MINOR, PENTATONIC, Motif, NoteBank, bars_for, chord, degree, motif
from etl.demo_sound import Sound, Tape

Rng = np.random.Generator
Composer = Callable[[Rng, Rng, float], Sound]


def ambient(track: Rng, artist: Rng, length_s: float) -> Sound:
    """Slow pads in a large room, wind, and a few bells; no beat."""
    brightness, wind_hz = artist.uniform(0.35, 0.5), artist.uniform(300, 600)
    root = int(track.integers(43, 51))
    scale = (DORIAN, MAJOR)[int(track.integers(2))]
    path = track.choice([0, 3, 4, 5, 1], size=6)
    tape, step_s = Tape(length_s), length_s / 5.0
    for number, start in enumerate(path):
        for voice, pitch in enumerate(chord(scale, root, int(start), 4)):
            for detune in (-0.06, 0.07):
                tone = s.additive(s.frequency(pitch + detune), step_s * 1.5, s.saw(brightness, 12))
                tone *= s.envelope(step_s * 1.5, step_s * 0.5, step_s * 0.6)
                tape.lay(number * step_s - 0.3 * (number > 0), tone, 0.16 / (1 + 0.2 * voice))
        drone = s.additive(s.frequency(degree(scale, root, int(start)) - 12), step_s * 1.3, (1.0, 0.3))
        tape.lay(number * step_s, drone * s.envelope(step_s * 1.3, 1.0, 1.2), 0.2)
    for at_s in np.sort(track.uniform(1, length_s - 3, 7)):
        pitch = degree(scale, root + 24, int(track.integers(0, 7)))
        bell = s.fm(s.frequency(pitch), 2.5, 2.0, 0.6, 0.5) * s.envelope(2.5, 0.02, 0.5, 0.7)
        tape.lay(float(at_s), bell, 0.05)
    wind = s.filtered(s.noise(length_s, track), "bandpass", (wind_hz * 0.6, wind_hz * 1.6))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * s.seconds(length_s) / 7.0)
    tape.lay(0.0, wind * swell.astype(np.float32), 0.05)
    return s.master(s.room(tape.sound, track, length_s=3.0, wet=0.5, dark_hz=2500), 0.13)


def techno(track: Rng, artist: Rng, length_s: float) -> Sound:
    """Four on the floor, off-beat hats, a bass line in sixteenths and short stabs."""
    bpm, root = track.uniform(124, 134), int(track.integers(33, 40))
    brightness, ratio = artist.uniform(0.88, 0.95), float(artist.choice([1.5, 2.01, 3.0]))
    step_s, bars = bars_for(bpm, length_s, 16)
    drum, closed = s.kick(artist.uniform(44, 52), 240, 0.32), s.hat(artist, 0.05, 8000)
    opened, clap = s.hat(artist, 0.2, 7000), s.snare(artist, 240, 0.18)
    bank = NoteBank(
        lambda pitch, long_s: (
            s.additive(s.frequency(pitch), long_s, s.saw(brightness)) * s.envelope(long_s, 0.003, 0.03, 0.12)
        )
    )
    stab = NoteBank(
        lambda pitch, long_s: (
            s.fm(s.frequency(pitch), long_s, ratio, 2.5, 0.1) * s.envelope(long_s, 0.003, 0.05, 0.12)
        )
    )
    line = motif(track, 16, 0.75, 5)
    hits = track.choice(16, size=3, replace=False)
    tape = Tape(length_s)
    for bar in range(bars):
        shift = (0, 0, 3, 0, 0, 5, 3, 0)[bar % 8]
        for step in range(16):
            at_s = (bar * 16 + step) * step_s
            if step % 4 == 0:
                tape.lay(at_s, drum, 0.85)
            if step % 4 == 2 and bar >= 1:
                tape.lay(at_s, opened, 0.22)
            if bar >= 2:
                tape.lay(at_s, closed, 0.1 + 0.06 * (step % 2))
            if step in (4, 12) and bar >= 2:
                tape.lay(at_s, clap, 0.3)
            if step in hits and bar % 2:
                for pitch in chord(MINOR, root + 36, 0, 3):
                    tape.lay(at_s, stab(pitch + shift, 0.3), 0.09)
        for step, note in line.notes:
            tape.lay((bar * 16 + step) * step_s, bank(degree(MINOR, root, note) + shift, step_s * 1.1), 0.33)
    return s.master(s.room(tape.sound, track, length_s=0.5, wet=0.1, dark_hz=6000), 0.2)


def folk(track: Rng, artist: Rng, length_s: float) -> Sound:
    """Plucked strings: broken chords under a melody; no drums."""
    bpm, root = track.uniform(88, 116), int(track.integers(43, 50))
    scale = (MAJOR, DORIAN)[int(track.integers(2))]
    step_s, bars = bars_for(bpm, length_s, 8)
    damping = artist.uniform(0.9945, 0.9975)
    string = NoteBank(
        lambda pitch, long_s: (
            s.pluck(s.frequency(pitch), long_s, artist, damping=damping) * s.envelope(long_s, 0.002, 0.1)
        )
    )
    progression = track.permutation([(0, 5, 3, 4), (0, 3, 0, 4), (0, 4, 5, 3), (5, 3, 0, 4)])[0]
    pattern = ((0, 2, 1, 3, 0, 2, 1, 2), (0, 1, 2, 3, 2, 1, 3, 1))[int(track.integers(2))]
    tune = [motif(track, 8, 0.55, 5) for _ in range(2)]
    tape = Tape(length_s)
    for bar in range(bars):
        start = int(progression[bar % 4])
        voices = [*chord(scale, root, start, 3), degree(scale, root, start) + 12]
        for step in range(8):
            at_s = (bar * 8 + step) * step_s + float(track.normal(0, 0.006))
            tape.lay(max(at_s, 0.0), string(voices[pattern[step]], 1.4), 0.4 + 0.12 * (step == 0))
        if bar >= 2:
            for step, note in tune[(bar // 2) % 2].notes:
                at_s = (bar * 8 + step) * step_s
                tape.lay(at_s, string(degree(scale, root + 12, start + note + 2), 1.2), 0.5)
    body = s.filtered(tape.sound, "bandpass", (90, 5200), order=1)
    return s.master(s.room(body, track, length_s=0.8, wet=0.15, dark_hz=4000), 0.14)


def synth_pop(track: Rng, artist: Rng, length_s: float) -> Sound:
    """Bright lead over saw chords, backbeat drums, octave bass."""
    bpm, root = track.uniform(104, 120), int(track.integers(45, 52))
    step_s, bars = bars_for(bpm, length_s, 8)
    brightness, ratio = artist.uniform(0.8, 0.9), float(artist.choice([2.0, 3.0, 4.0]))
    drum, crack = s.kick(56, 180, 0.24), s.snare(artist, artist.uniform(170, 230), 0.26)
    tick = s.hat(artist, 0.07, 6000)
    pad = NoteBank(
        lambda pitch, long_s: (
            (
                s.additive(s.frequency(pitch - 0.07), long_s, s.saw(brightness))
                + s.additive(s.frequency(pitch + 0.07), long_s, s.saw(brightness))
            )
            * s.envelope(long_s, 0.02, 0.08)
        )
    )
    bass = NoteBank(
        lambda pitch, long_s: (
            s.additive(s.frequency(pitch), long_s, s.saw(0.7, 16)) * s.envelope(long_s, 0.004, 0.04)
        )
    )
    lead = NoteBank(
        lambda pitch, long_s: (
            s.fm(s.frequency(pitch), long_s, ratio, 1.8, 0.35) * s.envelope(long_s, 0.006, 0.08, 0.8)
        )
    )
    progression = [(0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (3, 0, 4, 5)][int(track.integers(4))]
    hook: list[Motif] = [motif(track, 8, 0.7, 6) for _ in range(2)]
    tape = Tape(length_s)
    for bar in range(bars):
        start = progression[bar % 4]
        for pitch in chord(MAJOR, root + 12, start, 3):
            tape.lay(bar * 8 * step_s, pad(pitch, step_s * 8), 0.07)
        for step in range(8):
            at_s = (bar * 8 + step) * step_s
            tape.lay(at_s, bass(degree(MAJOR, root - 12, start) + 12 * (step % 2), step_s * 0.9), 0.22)
            if bar >= 1:
                tape.lay(at_s, tick, 0.1)
                if step in (0, 4, 5):
                    tape.lay(at_s, drum, 0.35 if step == 5 else 0.6)
                if step in (2, 6):
                    tape.lay(at_s, crack, 0.5)
        if bar >= 2:
            for step, note in hook[(bar // 2) % 2].notes:
                pitch = degree(MAJOR, root + 24, start + note)
                tape.lay((bar * 8 + step) * step_s, lead(pitch, step_s * 1.8), 0.2)
    return s.master(s.room(tape.sound, track, length_s=1.0, wet=0.16, dark_hz=7000), 0.19)


def lo_fi(track: Rng, artist: Rng, length_s: float) -> Sound:
    """Swinging drums and seventh chords of an electric piano, muffled, with the crackle of a record."""
    bpm, root = track.uniform(72, 88), int(track.integers(46, 54))
    step_s, bars = bars_for(bpm, length_s, 8)
    swing, dark_hz = 0.33 * step_s, artist.uniform(2200, 3200)
    drum, brush = s.kick(50, 90, 0.28), s.snare(artist, 160, 0.2)
    tick = s.hat(artist, 0.05, 5000)
    index = artist.uniform(0.8, 1.5)
    keys = NoteBank(
        lambda pitch, long_s: (
            s.fm(s.frequency(pitch), long_s, 1.0, index, 0.5) * s.envelope(long_s, 0.008, 0.2, 1.0)
        )
    )
    progression = [(1, 4, 0, 5), (0, 5, 1, 4), (3, 2, 1, 0)][int(track.integers(3))]
    tune = [motif(track, 8, 0.4, 5) for _ in range(2)]
    tape = Tape(length_s)
    for bar in range(bars):
        start = progression[bar % 4]
        for late, pitch in enumerate(chord(MAJOR, root, start, 4)):
            for step in (0, 3):
                at_s = (bar * 8 + step) * step_s + swing * (step % 2) + 0.012 * late
                tape.lay(at_s, keys(pitch, step_s * (3 if step == 0 else 5)), 0.16)
        tape.lay(bar * 8 * step_s, keys(degree(MAJOR, root - 12, start), step_s * 6), 0.3)
        for step in range(8):
            at_s = (bar * 8 + step) * step_s + swing * (step % 2)
            tape.lay(at_s, tick, 0.18)
            if step in (0, 5):
                tape.lay(at_s, drum, 0.75)
            if step in (2, 6):
                tape.lay(at_s + 0.015, brush, 0.45)
        for step, note in tune[(bar // 2) % 2].notes:
            pitch = degree(PENTATONIC, root + 12, note)
            tape.lay((bar * 8 + step) * step_s + swing * (step % 2), keys(pitch, step_s * 2), 0.16)
    crackle = np.zeros_like(tape.sound)
    crackle[track.integers(0, len(crackle), int(length_s * 18))] = track.uniform(-1, 1, int(length_s * 18))
    muffled = s.filtered(tape.sound + 0.5 * crackle, "lowpass", dark_hz)
    hiss = s.filtered(s.noise(length_s, track), "bandpass", (800, 5000))
    return s.master(s.room(muffled + 0.006 * hiss, track, length_s=0.6, wet=0.12, dark_hz=2500), 0.15)


def organ(track: Rng, artist: Rng, length_s: float) -> Sound:
    """A four-part chorale of organ pipes and bowed strings in a church; no drums."""
    bpm, root = track.uniform(66, 84), int(track.integers(48, 55))
    scale = (MAJOR, MINOR)[int(track.integers(2))]
    step_s, bars = bars_for(bpm, length_s, 4)
    second, third, eighth = (artist.uniform(*bounds) for bounds in ((0.6, 1.0), (0.3, 0.6), (0.25, 0.5)))
    stops = (1.0, second, third, 0.5, 0.05, 0.3, 0.0, eighth, 0.0, 0.1, 0.0, 0.15, 0.0, 0.0, 0.0, 0.1)
    pipe = NoteBank(
        lambda pitch, long_s: s.additive(s.frequency(pitch), long_s, stops) * s.envelope(long_s, 0.05, 0.1)
    )
    bow = NoteBank(
        lambda pitch, long_s: (
            s.additive(s.frequency(pitch), long_s, s.saw(0.84), vibrato=0.25) * s.envelope(long_s, 0.14, 0.2)
        )
    )
    progression = [(0, 3, 4, 0), (0, 5, 3, 4), (0, 1, 4, 5), (0, 4, 5, 2)][int(track.integers(4))]
    tune = [motif(track, 4, 0.85, 4) for _ in range(2)]
    tape = Tape(length_s)
    for bar in range(bars):
        start = progression[bar % 4]
        at_s = bar * 4 * step_s
        for pitch in chord(scale, root, start, 3):
            tape.lay(at_s, pipe(pitch, step_s * 4.2), 0.2)
        tape.lay(at_s, pipe(degree(scale, root - 24, start), step_s * 4.2), 0.3)
        for step, note in tune[bar % 2].notes:
            pitch = degree(scale, root + 12, start + note)
            tape.lay(at_s + step * step_s, pipe(pitch, step_s * 1.1), 0.16)
            tape.lay(at_s + step * step_s, bow(pitch + 12 * (bar % 4 == 3), step_s * 1.3), 0.12)
    return s.master(s.room(tape.sound, track, length_s=2.2, wet=0.35, dark_hz=5000), 0.15)


STYLES: dict[str, Composer] = {
    "Ambient": ambient,
    "Techno": techno,
    "Folk": folk,
    "Synth-pop": synth_pop,
    "Lo-fi": lo_fi,
    "Organ": organ,
}
