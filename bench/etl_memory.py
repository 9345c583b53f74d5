"""Memory of the ETL: the same for 100, 1,000 and 10,000 clips, and for a file of ten minutes or ten hours.

The files are six-second MP3 cut from the real clips (a tenth of the time; the vector is extracted whole),
each under thousands of names; they go through the pool into a mongod of its own. Peaks are of the resident
memory: of the process that loads, and of the largest of its decoders.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import soundfile

from bench._clips import sample_clips
from bench._loading import peak_mib
from schemas.errors import SegueError
from schemas.settings import Settings
from stack.child import Child
from stack.mongod import mongod_is_primary, prepare_mongod
from stack.parts import wait_until_ready
from stack.ports import free_ports

_SIZES = (100, 1_000, 10_000)
_PIECE_S = 6
_PARENT_MIB = 48.0  # a file waiting to be read takes 2 KiB: its path, its key, what is stored of it
_DECODER_MIB = 24.0
_LONG_MIB = 24.0
_SAMPLED_S = 0.2
_EXTRACT = """
import sys
from pathlib import Path
from bench._loading import peak_mib
from etl.features import extract
import os
extract(Path(sys.argv[1]))
print(peak_mib(os.getpid()))
"""


def run(arguments: list[str]) -> dict[str, Any]:
    """Load each number of clips in a process of its own.

    ``ratio`` is the memory of parent and decoders for the most clips over that for the fewest. ``equal``
    says that from the fewest to the most the parent grew by less than 48 MiB and a decoder by less than
    24 MiB, that ten hours took less than 24 MiB more than ten minutes, and that every file was loaded.
    """
    parser = argparse.ArgumentParser(prog="python -m bench etl-memory", description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of MP3 clips")
    parser.add_argument("--clips", type=int, nargs="+", default=list(_SIZES), help="numbers of clips")
    options = parser.parse_args([each for each in arguments if each != "--json"])
    clips = sample_clips(options.audio)
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as name:
        folder = Path(name)
        pieces = _cut(clips, folder / "pieces")
        settings = Settings(data_dir=folder / "data", mongodb_port=free_ports(1)[0])
        mongod = Child(prepare_mongod(settings))
        try:
            asyncio.run(wait_until_ready(mongod, lambda: mongod_is_primary(settings)))
            sizes = [_loaded(settings, pieces, folder, count) for count in options.clips]
        finally:
            mongod.stop()
        single = _single(clips[0], folder)
    small, large = sizes[0], sizes[-1]
    ratio = round(_together(large) / _together(small), 3)
    grown = {name: round(large[name] - small[name], 1) for name in ("parent_mib", "decoder_mib")}
    return {
        "name": "etl-memory",
        "ratio": ratio,
        "low": ratio,
        "high": ratio,
        "equal": grown["parent_mib"] < _PARENT_MIB
        and grown["decoder_mib"] < _DECODER_MIB
        and single["10 hours"] - single["10 minutes"] < _LONG_MIB
        and all(one["extracted"] == one["clips"] for one in sizes),
        "grown": grown,
        "sizes": sizes,
        "one_file_mib": single,
        "versions": {name: version(name) for name in ("soundfile", "numpy", "scipy", "motor")},
    }


def _together(size: dict[str, Any]) -> float:
    return float(size["parent_mib"] + 2 * size["decoder_mib"])


def _cut(clips: Sequence[Path], folder: Path) -> list[Path]:
    """Write pieces of six seconds of each clip; return their paths."""
    folder.mkdir()
    pieces = []
    for clip in clips:
        sound, rate_hz = soundfile.read(clip, dtype="float32")
        length = _PIECE_S * rate_hz
        for start in range(0, len(sound) - length, length):
            pieces.append(folder / f"{clip.stem}-{start}.mp3")
            soundfile.write(pieces[-1], sound[start : start + length], rate_hz)
    return pieces


def _loaded(settings: Settings, pieces: Sequence[Path], folder: Path, count: int) -> dict[str, Any]:
    """Load so many clips in a process of its own; return what it told and the peaks of its decoders."""
    named = folder / f"clips-{count}"
    named.mkdir()
    for number in range(count):
        (named / f"{number:06d}.mp3").symlink_to(pieces[number % len(pieces)])
    environment = os.environ | {
        "SEGUE_DATA_DIR": str(settings.data_dir),
        "SEGUE_MONGODB_PORT": str(settings.mongodb_port),
        "SEGUE_MONGODB_DATABASE": f"bench-{count}",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "bench._loading", str(named)]
    decoder = 0.0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as loading:
        while True:
            decoder = max(decoder, _decoder_mib(loading.pid))
            try:
                loading.wait(_SAMPLED_S)
                break
            except subprocess.TimeoutExpired:
                continue
        assert loading.stdout is not None
        told = loading.stdout.read()
    if loading.returncode:
        raise SegueError(f"loading {count:,} clips ended with code {loading.returncode}")
    found: dict[str, Any] = {"clips": count, **json.loads(told), "decoder_mib": round(decoder, 1)}
    print(f"etl-memory: {found}", file=sys.stderr, flush=True)
    return found


def _decoder_mib(pid: int) -> float:
    """Return the largest peak among the processes that a program has started."""
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return 0.0
    return max((peak_mib(child.pid) for child in children), default=0.0)


def _single(clip: Path, folder: Path) -> dict[str, float]:
    """Return the peak of a process that extracts one file, by the file's length."""
    sound, rate_hz = soundfile.read(clip, dtype="float32")
    minutes, hours = folder / "minutes.mp3", folder / "hours.wav"
    with soundfile.SoundFile(minutes, "w", rate_hz, sound.shape[1]) as file:
        for _ in range(21):
            file.write(sound)
    with soundfile.SoundFile(hours, "w", 8_000, 1, subtype="PCM_U8") as file:
        mono = sound[:: rate_hz // 8_000, 0]
        for _ in range(36_000 * 8_000 // len(mono) + 1):
            file.write(mono)
    found = {}
    for name, path in (("30 seconds", clip), ("10 minutes", minutes), ("10 hours", hours)):
        ran = subprocess.run(
            [sys.executable, "-c", _EXTRACT, str(path)], capture_output=True, text=True, check=True
        )
        found[name] = round(float(ran.stdout), 1)
    return found
