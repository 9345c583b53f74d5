"""FMA's archives: what each is called, how large it is, which members it may have, and under what licence.

SHA-1 sums are those of FMA's own README (release rc1 of 2017-05-09, https://github.com/mdeff/fma). A SHA-1
guards against accidents, not against a forger: what is unpacked is therefore checked member by member
(`etl.zip_index`). Unpacked sizes are those of the paper (Defferrard, Benzi, Vandergheynst, Bresson: FMA: A
Dataset for Music Analysis, ISMIR 2017), rounded up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from etl.sizes import GIB, MIB

_AUDIO_LICENCE = (
    "each track is under the licence that its artist chose, many of them NonCommercial or NoDerivatives "
    "(tracks.csv names it); the data set is meant for research"
)
_METADATA_LICENCE = "metadata under CC BY 4.0; the data set is meant for research"
_CLIPS = r"README\.txt|checksums|([0-9]{3})/\1[0-9]{3}\.mp3"
_TABLES = (
    r"README\.txt|checksums|not_found\.pickle|(raw_)?(tracks|genres|echonest)\.csv|raw_(albums|artists)\.csv"
    r"|features\.csv"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the members of an archive may come to.

    Attributes
    ----------
    members : most members
    member_bytes : most bytes of one member, unpacked
    total_bytes : most bytes of all members, unpacked
    ratio : most bytes unpacked per byte packed, of the archive and of each member above ``ratio_from``
    ratio_from : bytes, unpacked, up to which a member's own ratio does not count: digital silence is a valid
        clip, packs a thousand to one, and cannot do harm below this size
    """

    members: int
    member_bytes: int
    total_bytes: int
    ratio: float
    ratio_from: int


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive on FMA's server.

    Attributes
    ----------
    name : the word for it on the command line
    file : its file name; members lie in a folder of the same name without ``.zip``
    sha1 : 40 hexadecimal digits
    size : bytes
    size_is_exact : otherwise ``size`` is within a tenth of the truth, and the server says how large it is
    unpacked : bytes, about
    clips : audio files in it
    members : regular expression of the names that members may have below the folder
    limits : what its members may come to
    licence : one line
    skipped : names below the folder that are never written
    """

    name: str
    file: str
    sha1: str
    size: int
    size_is_exact: bool
    unpacked: int
    clips: int
    members: str
    limits: Limits
    licence: str
    skipped: frozenset[str] = frozenset()

    @property
    def folder(self) -> str:
        """Name of the folder that all members lie in."""
        return self.file.removesuffix(".zip")

    @property
    def most_bytes(self) -> int:
        """Bytes above which what a server sends cannot be this archive."""
        return self.size if self.size_is_exact else self.size + self.size // 10

    def allows(self, name: str) -> bool:
        """Return whether a member may have this full name."""
        folder, slash, rest = name.partition("/")
        return folder == self.folder and bool(slash) and re.fullmatch(self.members, rest) is not None


def _audio(
    name: str, sha1: str, clips: int, *, size: int, exact: bool, unpacked: int, whole_tracks: bool = False
) -> Archive:
    return Archive(
        name=name,
        file=f"fma_{name}.zip",
        sha1=sha1,
        size=size,
        size_is_exact=exact,
        unpacked=unpacked,
        clips=clips,
        members=_CLIPS,
        # 30 s of MP3 at 320 kbit/s are 1.2 MB; pictures in tags may be larger
        limits=Limits(
            members=clips + 2,
            member_bytes=4 * GIB if whole_tracks else 64 * MIB,
            total_bytes=unpacked + unpacked // 5,
            ratio=3.0,
            ratio_from=32 * MIB if whole_tracks else 2 * MIB,
        ),
        licence=_AUDIO_LICENCE,
    )


_ALL = (
    Archive(
        name="metadata",
        file="fma_metadata.zip",
        sha1="f0df49ffe5f2a6008d7dc83c6915b31835dfe733",
        size=358_412_441,
        size_is_exact=True,
        unpacked=1_600_000_000,
        clips=0,
        members=_TABLES,
        # biographies repeat in every row of an artist, and bzip2 finds that
        limits=Limits(members=16, member_bytes=2 * GIB, total_bytes=4 * GIB, ratio=100.0, ratio_from=MIB),
        licence=_METADATA_LICENCE,
        # a pickle can run code when it is loaded; it lists what the crawl did not find, and nothing needs it
        skipped=frozenset({"not_found.pickle"}),
    ),
    _audio(
        "small",
        "ade154f733639d52e35e32f5593efe5be76c6d70",
        8_000,
        size=7_679_594_875,
        exact=True,
        unpacked=8 * GIB,
    ),
    _audio(
        "medium",
        "c67b69ea232021025fca9231fc1c7c1a063ab50b",
        25_000,
        size=23_825_000_000,
        exact=False,
        unpacked=24 * GIB,
    ),
    _audio(
        "large",
        "497109f4dd721066b5ce5e5f250ec604dc78939e",
        106_574,
        size=100_306_112_191,
        exact=True,
        unpacked=98 * GIB,
    ),
    _audio(
        "full",
        "0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab",
        106_574,
        size=879 * GIB,
        exact=False,
        unpacked=917 * GIB,
        whole_tracks=True,
    ),
)
ARCHIVES: Mapping[str, Archive] = MappingProxyType({archive.name: archive for archive in _ALL})
"""Every archive by its word on the command line."""
