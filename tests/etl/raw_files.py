"""FMA's raw tables as its API gave them, for tests: the real columns, whatever cells a test wants."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

TRACKS = (
    "track_id,album_id,album_title,album_url,artist_id,artist_name,artist_url,artist_website,license_image_file,"
    "license_image_file_large,license_parent_id,license_title,license_url,tags,track_bit_rate,track_comments,"
    "track_composer,track_copyright_c,track_copyright_p,track_date_created,track_date_recorded,track_disc_number,"
    "track_duration,track_explicit,track_explicit_notes,track_favorites,track_file,track_genres,track_image_file,"
    "track_information,track_instrumental,track_interest,track_language_code,track_listens,track_lyricist,"
    "track_number,track_publisher,track_title,track_url"
)
ALBUMS = (
    "album_id,album_comments,album_date_created,album_date_released,album_engineer,album_favorites,album_handle,"
    "album_image_file,album_images,album_information,album_listens,album_producer,album_title,album_tracks,"
    "album_type,album_url,artist_name,artist_url,tags"
)
ARTISTS = (
    "artist_id,artist_active_year_begin,artist_active_year_end,artist_associated_labels,artist_bio,artist_comments,"
    "artist_contact,artist_date_created,artist_donation_url,artist_favorites,artist_flattr_name,artist_handle,"
    "artist_image_file,artist_images,artist_latitude,artist_location,artist_longitude,artist_members,artist_name,"
    "artist_paypal_name,artist_related_projects,artist_url,artist_website,artist_wikipedia_page,tags"
)
SITE = "http://freemusicarchive.org/music/AWOL"
FOOD = {
    "track_id": "2",
    "album_id": "1",
    "album_title": "AWOL - A Way Of Life",
    "album_url": f"{SITE}/AWOL_-_A_Way_Of_Life/",
    "artist_id": "1",
    "artist_name": "AWOL",
    "artist_url": f"{SITE}/",
    "artist_website": "http://www.AzillionRecords.blogspot.com",
    "license_parent_id": "5",
    "license_title": "Attribution-NonCommercial-ShareAlike 3.0 International",
    "license_url": "http://creativecommons.org/licenses/by-nc-sa/3.0/",
    "tags": "[]",
    "track_bit_rate": "256000",
    "track_date_created": "11/26/2008 01:48:12 AM",
    "track_date_recorded": "11/26/2008",
    "track_disc_number": "1",
    "track_duration": "02:48",
    "track_explicit": "Radio-Unsafe",
    "track_genres": "[{'genre_id': '21', 'genre_title': 'Hip-Hop', 'genre_url': 'http://example.org/Hip-Hop/'}]",
    "track_image_file": "https://freemusicarchive.org/file/images/albums/AWOL.jpg",
    "track_instrumental": "0",
    "track_interest": "4656",
    "track_language_code": "en",
    "track_listens": "1293",
    "track_number": "3",
    "track_title": "Food",
    "track_url": f"{SITE}/AWOL_-_A_Way_Of_Life/Food",
}


def write_raw_table(folder: Path, name: str, columns: str, rows: Sequence[Mapping[str, str]]) -> Path:
    """Write one raw table into a folder."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns.split(","), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path
