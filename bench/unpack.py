"""Unpacking bzip2 archives of FMA, verified and on all cores, against `zipfile.extractall`.

Both sides unpack one archive of real clips, made here as FMA makes its own, in alternating order.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench._clips import sample_clips
from etl.archives import ARCHIVES, Archive
from etl.unpack import unpack
from etl.unpack_journal import Journal

_AUDIO = ("small", "medium", "large", "full")


def run(arguments: list[str]) -> dict[str, Any]:
    """Return the ratio of speeds (above 1: Segue is faster), MB/s, and core hours for FMA's archives.

    Processor time, unlike time on the clock, is much the same on a busy machine.
    """
    options = _options(arguments)
    ratios, ours, theirs, equal, core_s = [], [], [], True, []
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder = Path(temporary)
        path, archive = _make(folder / "fma_small.zip", sample_clips(options.audio))
        for turn in range(options.rounds):
            sides = [_unpack, _extract_all] if turn % 2 else [_extract_all, _unpack]
            spent = {}
            for side in sides:
                into = folder / f"{side.__name__}{turn}"
                into.mkdir()
                began, began_core = time.perf_counter(), time.process_time()
                side(path, archive, into)
                spent[side] = archive.unpacked / 1e6 / (time.perf_counter() - began)
                if side is _unpack:
                    core_s.append((time.process_time() - began_core) / (archive.unpacked / 1e6))
            equal &= _tree(folder / f"_unpack{turn}") == _tree(folder / f"_extract_all{turn}")
            ours.append(spent[_unpack])
            theirs.append(spent[_extract_all])
            ratios.append(spent[_unpack] / spent[_extract_all])
            print(f"unpack: {turn + 1} of {options.rounds}, {ratios[-1]:.2f}", file=sys.stderr, flush=True)
    core_s_per_mb = float(np.median(core_s))
    return {
        "name": "unpack",
        "ratio": round(float(np.median(ratios)), 3),
        "low": round(min(ratios), 3),
        "high": round(max(ratios), 3),
        "equal": equal,
        "mb": round(archive.unpacked / 1e6, 1),
        "mb_per_s": round(float(np.median(ours)), 2),
        "zipfile_mb_per_s": round(float(np.median(theirs)), 2),
        "core_s_per_mb": round(core_s_per_mb, 4),
        "projected_core_hours": {
            name: round(ARCHIVES[name].unpacked / 1e6 * core_s_per_mb / 3600, 2) for name in _AUDIO
        },
        "load_average": round(os.getloadavg()[0], 2),
        "versions": {name: version(name) for name in ("numpy",)},
    }


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench unpack", description=__doc__)
    parser.add_argument("--audio", type=Path, help="folder of MP3 clips")
    parser.add_argument("--folder", type=Path, help="where to unpack; by default the temporary folder")
    parser.add_argument("--rounds", type=int, default=5, help="repetitions of each side")
    return parser.parse_args([each for each in arguments if each != "--json"])


def _make(path: Path, clips: list[Path]) -> tuple[Path, Archive]:
    """Write an archive with a list of checksums, packed by bzip2."""
    files = {f"000/{number:06d}.mp3": clip.read_bytes() for number, clip in enumerate(clips)}
    lines = "".join(f"{hashlib.sha1(data).hexdigest()}  {name}\n" for name, data in files.items())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("fma_small/checksums", lines)
        for name, data in files.items():
            archive.writestr(f"fma_small/{name}", data)
    sha1 = hashlib.sha1(path.read_bytes()).hexdigest()
    unpacked = sum(map(len, files.values()))
    return path, replace(ARCHIVES["small"], sha1=sha1, size=path.stat().st_size, unpacked=unpacked)


def _unpack(path: Path, archive: Archive, into: Path) -> None:
    with Journal(into.with_name(f"{into.name}.unpacked"), archive.sha1, into) as journal:
        unpack(path, archive, into, journal)


def _extract_all(path: Path, archive: Archive, into: Path) -> None:
    with zipfile.ZipFile(path) as zipped:
        zipped.extractall(into)


def _tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
