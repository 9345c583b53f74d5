"""HetRec's files: CRLF, UTF-8 and Latin-1, refused rows counted, missing files named."""

from pathlib import Path

import pytest

from etl.hetrec_files import Artist, read_artists, read_listening, read_tags
from schemas.errors import InvalidInput

ARTISTS = {"1": Artist("1", "MALICE MIZER", None), "2": Artist("2", "Sigur Rós", None)}


def test_the_real_files_have_the_published_counts(sample_data: Path) -> None:
    folder = sample_data / "hetrec2011-lastfm-2k"
    artists = read_artists(folder)
    listening = read_listening(folder, artists)
    assert len(artists) == 17_632
    assert artists["1"].name == "MALICE MIZER"
    assert any(not artist.name.isascii() for artist in artists.values())
    assert len(listening.by_user) == 1_892
    assert (listening.rows, dict(listening.refused)) == (92_834, {})
    assert sum(count for plays in listening.by_user.values() for _, count in plays) == 69_183_975
    assert listening.by_user["2"][:2] == [("51", 13_883), ("52", 11_690)]
    tags = read_tags(folder)
    assert tags["1"]
    assert max(len(each) for each in tags.values()) == 3


def test_line_ends_and_order_of_the_file_are_kept(tmp_path: Path) -> None:
    (tmp_path / "artists.dat").write_bytes(
        "id\tname\turl\n1\tMALICE MIZER\thttp://x\n2\tSigur Rós\t\n".encode()
    )
    (tmp_path / "user_artists.dat").write_bytes(
        b"userID\tartistID\tweight\r\n7\t2\t5\r\n7\t1\t9\r\n8\t2\t4294967295\r\n"
    )
    artists = read_artists(tmp_path)
    assert artists == {"1": Artist("1", "MALICE MIZER", "http://x"), "2": ARTISTS["2"]}
    listening = read_listening(tmp_path, artists)
    assert listening.by_user == {"7": [("2", 5), ("1", 9)], "8": [("2", 4_294_967_295)]}
    assert read_tags(tmp_path) == {}


def test_unusable_rows_are_counted_by_reason(tmp_path: Path) -> None:
    rows = ("7\t1\t5", "7\t1\t6", "7\t99\t5", "7\t2\t0", "7\t2\t-1", "x\t2\t5", "7\t2\t4294967296", "7\t2\t3")
    (tmp_path / "user_artists.dat").write_text("userID\tartistID\tweight\n" + "\n".join(rows))
    listening = read_listening(tmp_path, ARTISTS)
    assert listening.by_user == {"7": [("1", 5), ("2", 3)]}
    assert dict(listening.refused) == {
        "second row for the same user and artist": 1,
        "artist is not in artists.dat": 1,
        "weight is not a positive whole number": 3,
        "user id is not a number": 1,
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "artists.dat is missing"),
        (b"name\tid\n", "does not begin with the columns id, name, url"),
        (b"id\tname\turl\n1\tonly\n", "line 2: 2 columns instead of 3"),
        (b"id\tname\turl\n1\t \tu\n", "has no name or stands twice"),
        (b"id\tname\turl\n1\tCaf\xe9\tu\n", "cannot be read"),
    ],
)
def test_a_missing_or_malformed_file_is_one_sentence(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "artists.dat").write_bytes(content)
    with pytest.raises(InvalidInput, match=reason) as refusal:
        read_artists(tmp_path)
    assert "artists.dat" in str(refusal.value)
