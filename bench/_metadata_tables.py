"""Tables for the benchmark of metadata: real rows, repeated under other ids until there are enough."""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

SOURCE = "derived_tracks_three_row_header.csv.gz"
_STEP = 160_000  # above FMA's largest id
_TRACKS_PER_ALBUM = 7
_RAW = (
    "track_id",
    "track_url",
    "license_url",
    "album_url",
    "artist_url",
    "track_disc_number",
    "track_image_file",
)


def write_tables(data: Path, folder: Path, wanted: int, *, full: bool = False) -> int:
    """Write `tracks.csv` and `genres.csv` into a new folder; return the number of rows.

    Parameters
    ----------
    data : sample data of FMA; its real rows have no album and no artist
    wanted : rows
    full : albums and artists are filled in with real names and real texts of the sample, about 1 KB a
        biography as in the official table, and `raw_tracks.csv` is written beside it
    """
    folder.mkdir()
    (folder / "genres.csv").write_bytes((data / "genres.csv").read_bytes())
    header, rows = _read(data / SOURCE)
    columns = {pair: place for place, pair in enumerate(zip(header[0], header[1], strict=True))}
    filled = _filled(data, columns, rows) if full else iter(())
    with (
        (folder / "tracks.csv").open("w", encoding="utf-8", newline="") as file,
        (folder / "raw_tracks.csv" if full else Path("/dev/null")).open("w", newline="") as raw_file,
    ):
        table, raw = csv.writer(file), csv.writer(raw_file)
        table.writerows(header)
        raw.writerow(_RAW)
        for number in range(wanted):
            copy, place = divmod(number, len(rows))
            row = [str(int(rows[place][0]) + copy * _STEP), *rows[place][1:]]
            for at, cell in next(filled, ()):
                row[at] = cell
            table.writerow(row)
            raw.writerow(_raw_row(row[0], str(number // _TRACKS_PER_ALBUM)))
    return wanted


def _read(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    csv.field_size_limit(sys.maxsize)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    return rows[:3], rows[3:]


def _filled(
    data: Path, columns: dict[tuple[str, str], int], rows: list[list[str]]
) -> Iterator[list[tuple[int, str]]]:
    """Yield, row by row, the cells of an album and its artist: the same for the tracks of an album."""
    names = json.loads((data / "artist_names.json").read_text(encoding="utf-8"))
    texts = cycle(
        [row[columns["track", "information"]] for row in rows if row[columns["track", "information"]]]
    )
    for number, artist in enumerate(cycle(names), start=1):
        biography = " ".join(islice(texts, 2))
        cells = {
            ("artist", "id"): artist,
            ("artist", "name"): names[artist][0],
            ("artist", "bio"): biography,
            ("artist", "date_created"): "2008-11-26 01:42:32",
            ("artist", "location"): "New Jersey",
            ("artist", "latitude"): "40.058324",
            ("artist", "longitude"): "-74.405661",
            ("artist", "website"): f"http://example.org/{artist}",
            ("artist", "tags"): "['instrumental', 'new zealand']",
            ("artist", "favorites"): "9",
            ("artist", "comments"): "0",
            ("album", "id"): str(number),
            ("album", "title"): f"{names[artist][0]} {number}",
            ("album", "date_released"): "2009-01-05 00:00:00",
            ("album", "date_created"): "2008-11-26 01:44:45",
            ("album", "information"): next(texts),
            ("album", "listens"): "6073",
            ("album", "favorites"): "4",
            ("album", "comments"): "0",
            ("album", "tracks"): "7",
            ("album", "tags"): "[]",
            ("album", "type"): "Album",
        }
        placed = [(columns[pair], cell) for pair, cell in cells.items()]
        for _ in range(_TRACKS_PER_ALBUM):
            yield placed


def _raw_row(number: str, album: str) -> list[str]:
    site = "http://freemusicarchive.org/"
    return [
        number,
        f"{site}music/track/{number}",
        "http://creativecommons.org/licenses/by-nc-sa/3.0/",
        f"{site}music/album/{album}",
        f"{site}music/artist/{album}",
        "1",
        f"{site}file/images/albums/{album}.jpg",
    ]
