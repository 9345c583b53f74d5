"""The real clips that audio benchmarks read."""

import os
from pathlib import Path

from schemas.errors import InvalidInput


def sample_clips(folder: Path | None = None) -> list[Path]:
    """Return the 10 FMA clips and 20 others of the sample data, or all MP3 files below ``folder``.

    Raises
    ------
    InvalidInput
        There are none.
    """
    data = Path(os.environ.get("SEGUE_TEST_DATA", "../shared/data"))
    folders = [folder] if folder else [data / "fma-audio", data / "cc-music-clips"]
    clips = [clip for each in folders for clip in sorted(each.rglob("*.mp3"))]
    if not clips:
        raise InvalidInput(f"no clips in {folder or data}: give --audio, or set SEGUE_TEST_DATA")
    return clips
