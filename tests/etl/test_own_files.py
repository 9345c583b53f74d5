"""Looking for audio files, and reading what they say of themselves."""

import hashlib
import os
import tempfile
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.own_files import Scan, decodable_suffixes, is_below, read_content, scan_folder
from etl.own_tags import Names, names_of_path, read_names, tag_text, title_of_stem
from schemas.errors import InvalidInput
from tests.etl.own_music import id3, write_song

TAGS = {"title": "Tïtle", "artist": "Ärtist", "album": "Älbum"}


def scanned(root: Path) -> Scan:
    scan = Scan()
    for _ in scan_folder(root, scan):
        pass
    return scan


def touch(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(scan: Scan, root: Path) -> list[str]:
    return sorted(os.path.relpath(each.path, root) for each in scan.files)


def test_every_format_that_libsndfile_decodes_is_looked_for() -> None:
    wanted = {
        ".mp3",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".wav",
        ".aiff",
        ".aif",
        ".au",
        ".caf",
        ".w64",
        ".voc",
    }
    assert wanted <= decodable_suffixes()
    assert not {".raw", ".mat", ".m4a", ".wma"} & decodable_suffixes()


def test_files_are_found_whatever_the_case_and_others_left_alone(tmp_path: Path) -> None:
    for name in ("a.MP3", "b/c.Flac", "b/cover.jpg", "b/._c.flac", "notes.txt", "d.wma", "e.m4a"):
        touch(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.mp3")
    scan = scanned(tmp_path)
    assert names(scan, tmp_path) == ["a.MP3", "b/c.Flac"]
    assert scan.others == 4
    assert {os.path.basename(path): reason.split(":")[0] for path, reason in scan.refused.items()} == {
        "d.wma": "format not supported",
        "e.m4a": "format not supported",
    }


def test_links_are_followed_but_no_loop_is_endless(tmp_path: Path) -> None:
    root = tmp_path / "music"
    touch(root / "album" / "song.mp3")
    (root / "album" / "up").symlink_to(root)
    (root / "self").symlink_to("self")
    (root / "gone.mp3").symlink_to("nowhere.mp3")
    (root / "round.ogg").symlink_to("round.ogg")
    outside = touch(tmp_path / "outside" / "far.mp3")
    (root / "aa-first-by-name").symlink_to(root / "album")
    (root / "linked").symlink_to(outside.parent)
    (root / "near.mp3").symlink_to(outside)
    scan = scanned(root)
    assert names(scan, root) == ["album/song.mp3", "linked/far.mp3", "near.mp3"]
    assert {os.path.basename(path): reason for path, reason in scan.refused.items()} == {
        "gone.mp3": "broken link: it leads to no file",
        "round.ogg": "broken link: it leads to no file",
    }
    assert scan.unseen == []


def test_a_name_that_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.mp3", "wb"):
        pass
    scan = scanned(tmp_path)
    assert scan.files == []
    assert scan.refused == {
        f"{tmp_path}/caf\\udce9.mp3": "name not UTF-8: rename the file or the folder that it lies in"
    }


def test_a_folder_that_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        touch(root / "open" / "song.mp3")
        touch(root / "closed" / "song.mp3").parent.chmod(0)
        root.chmod(0o755)
        user = os.geteuid()
        if user == 0:  # root may read everything
            os.seteuid(65_534)
        try:
            scan = scanned(root)
        finally:
            os.seteuid(user)
        assert names(scan, root) == ["open/song.mp3"]
        assert scan.refused == {f"{root}/closed": "unreadable folder: Permission denied"}
        assert scan.unseen == [f"{root}/closed"]
        (root / "closed").chmod(0o755)


def test_one_file_may_be_added_and_what_is_not_there_is_refused(tmp_path: Path) -> None:
    path = touch(tmp_path / "song.ogg")
    assert [each.path for each in scanned(path).files] == [str(path)]
    with pytest.raises(InvalidInput, match="missing cannot be read: No such file"):
        scanned(tmp_path / "missing")


def test_what_lies_below_a_folder() -> None:
    assert [is_below(path, "/m") for path in ("/m", "/m/a", "/music", "/")] == [True, True, False, False]
    assert is_below("/m", "/")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff"])
def test_tags_are_read_in_each_format(tmp_path: Path, suffix: str) -> None:
    more = {"genre": "Rock; Pop;rock", "date": "1999-05-01", "tracknumber": "3"}
    path = write_song(tmp_path / f"x{suffix}", 1, 1.0, **TAGS, **more)
    found = read_content(path, tmp_path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.found.bytes, found.found.modified_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert (found.names.title, found.names.artist, found.names.tagged) == ("Tïtle", "Ärtist", True)
    assert found.names.stated_ms == pytest.approx(1_000, abs=120)
    if suffix != ".aiff":  # libsndfile writes no more into it
        assert (found.names.album, found.names.genres) == ("Älbum", ("Rock", "Pop"))
        assert (found.names.year, found.names.number) == ("1999", 3)


@pytest.mark.parametrize("suffix", [".caf", ".voc"])
def test_formats_that_have_no_tags_are_named_by_their_folders(tmp_path: Path, suffix: str) -> None:
    path = write_song(tmp_path / "Nina" / "Blues" / f"07 Sinnerman{suffix}", 1, 0.5)
    assert read_names(path, tmp_path) == Names("Sinnerman", "Nina", "Blues")


def test_an_album_artist_stands_in_for_the_artist(tmp_path: Path) -> None:
    path = touch(tmp_path / "a.mp3", id3(title="T").replace(b"TIT2", b"TPE2") + b"\0" * 100)
    assert (read_names(path, tmp_path).artist, read_names(path, tmp_path).title) == ("T", "a")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Artist/Album/01 Title.mp3", Names("Title", "Artist", "Album")),
        ("Music/Artist/Album/CD 2/2-01 - Title.mp3", Names("Title", "Artist", "Album")),
        ("Artist/Album/99 Luftballons.mp3", Names("Luftballons", "Artist", "Album")),
        ("99 Luftballons.mp3", Names("99 Luftballons")),
        ("Album/01. Title.mp3", Names("Title")),
        ("01.mp3", Names("01")),
        ("1979.mp3", Names("1979")),
        ("24K Magic.mp3", Names("24K Magic")),
        ("04_blue_in_green.ogg", Names("blue in green")),
        (".mp3", Names(".mp3")),
    ],
)
def test_names_come_from_where_a_file_lies(path: str, expected: Names) -> None:
    assert names_of_path(PurePath(path)) == expected


def test_text_of_tags_is_one_line_without_what_databases_refuse() -> None:
    assert tag_text("  a\x00b\n\tc \ud800d\x85 \ufeff") == "a b c d"
    assert tag_text("Cafe\u0301") == "Caf\u00e9"
    assert len(tag_text("x" * 10_000)) == 500
    assert tag_text("I <3 you & me") == "I <3 you & me"


@given(st.text())
def test_any_text_becomes_one_line_that_stays_as_it_is(text: str) -> None:
    line = tag_text(text)
    line.encode()
    assert line == tag_text(line) == line.strip()
    assert not set("\n\x00") & set(line)


@given(st.text(min_size=1), st.booleans())
def test_any_file_name_has_a_title(stem: str, numbered: bool) -> None:
    assert title_of_stem(stem, numbered=numbered).strip()


@given(st.binary(max_size=300), st.sampled_from([".mp3", ".flac", ".ogg", ".wav", ".aiff", ".au"]))
def test_no_bytes_stop_the_reading_of_tags(content: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for start in (b"", b"ID3\x04\x00\x00\x00\x00\x02\x00", b"fLaC", b"OggS", b"RIFF\x00\x00\x00\x00WAVE"):
            path = touch(Path(folder) / f"x{suffix}", start + content)
            assert read_names(path, Path(folder)).title
