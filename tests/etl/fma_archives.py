"""Archives in FMA's layout that tests make: bzip2, a README, a list of checksums, clips of noise."""

import hashlib
import io
import random
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from etl.archives import ARCHIVES, Archive
from etl.patience import Patience

IMPATIENT = Patience(
    attempts=4, gain=1, connect_s=5, silence_s=0.3, first_pause_s=0.001, longest_pause_s=0.002
)
README = b"Each .mp3 is licensed by its artist.\n"


def clips(count: int, size: int = 20_000, seed: int = 1) -> dict[str, bytes]:
    """Return clips of noise, which packs as badly as MP3, by their names below the folder."""
    draw = random.Random(seed)
    numbers = sorted(draw.sample(range(155_000), count))
    return {f"{n // 1000:03d}/{n:06d}.mp3": draw.randbytes(draw.randrange(size // 2, size)) for n in numbers}


def with_list(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return files in FMA's order, after a README and the list of their SHA-1 sums."""
    lines = "".join(f"{hashlib.sha1(data).hexdigest()}  {name}\n" for name, data in files.items())
    return {"README.txt": README, "checksums": lines.encode(), **files}


def zipped(files: Mapping[str, bytes], folder: str = "fma_small", method: int = zipfile.ZIP_BZIP2) -> bytes:
    """Return a zip archive as FMA's own script makes it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(member(f"{folder}/{name}", method), data)
    return out.getvalue()


def member(name: str, method: int = zipfile.ZIP_BZIP2, mode: int = 0o100444) -> zipfile.ZipInfo:
    """Return the entry of one file."""
    info = zipfile.ZipInfo(name, (2017, 4, 1, 0, 0, 0))
    info.external_attr = mode << 16
    info.compress_type = method
    return info


def archive_of(data: bytes, name: str = "small", **changes: object) -> Archive:
    """Return the registry's entry of an archive with these bytes in the place of FMA's."""
    about = {"sha1": hashlib.sha1(data).hexdigest(), "size": len(data), "size_is_exact": True}
    return replace(ARCHIVES[name], **(about | {"unpacked": 2 * len(data)} | changes))


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
