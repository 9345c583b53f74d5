"""The catalogue and its sound."""

import pytest

from frontend.catalogue import folded
from tests.frontend.servers import Listener, Server


async def test_tracks_come_in_pages_in_the_order_of_ids(web: Server, visitor: Listener) -> None:
    _, first = await visitor.call("GET", "tracks?limit=5")
    _, second = await visitor.call("GET", f"tracks?limit=5&cursor={first['next_cursor']}")

    found = [track["track_id"] for page in (first, second) for track in page["tracks"]]
    assert found == [1, 2, 3, 4, 5, 6, 7, 90]
    assert second["next_cursor"] is None
    assert first["tracks"][0]["genres"] == ["Tone"]


async def test_one_track_comes_with_its_waveform_and_an_unknown_one_is_404(
    web: Server, visitor: Listener
) -> None:
    status, track = await visitor.call("GET", "tracks/1")

    assert (status, track["title"], len(track["peaks"])) == (200, "Dawn", 200)
    assert (await visitor.call("GET", "tracks/999"))[0] == 404
    assert (await visitor.call("GET", "tracks/-1"))[0] == 404


@pytest.mark.parametrize(
    ("words", "titles"),
    [("dawn", ["Dawn"]), ("aska", ["Åska"]), ("kites artist", ["Paper Kites"]), ("zzz", []), ("", [])],
)
async def test_search_finds_words_of_title_and_artist_without_accents(
    web: Server, visitor: Listener, words: str, titles: list[str]
) -> None:

    status, page = await visitor.call("GET", "search", params={"q": words})

    assert (status, [track["title"] for track in page["tracks"]]) == (200, titles)


def test_text_is_folded_to_plain_words() -> None:
    assert folded("  Sigur Rós – Ágætis\tbyrjun!") == "sigur ros agætis byrjun"
    assert folded("STRASSE") == folded("Straße")


async def test_charts_are_empty_before_anybody_listened(web: Server, visitor: Listener) -> None:

    assert await visitor.call("GET", "charts") == (
        200,
        {"charts_id": None, "created_ms": None, "items": [], "from_ms": None, "genre": None, "genres": []},
    )


@pytest.mark.parametrize(("genre", "status"), [("Polka", 404), ("", 400), ("x" * 201, 400), ("\x00", 404)])
async def test_charts_of_a_genre_that_is_not_there_are_a_clear_problem(
    web: Server, visitor: Listener, genre: str, status: int
) -> None:
    found, problem = await visitor.call("GET", "charts", params={"genre": genre})

    assert (found, problem["status"]) == (status, status)
    assert "genre" in problem["detail"]


async def test_a_genre_that_nobody_listened_to_has_an_empty_chart(web: Server, visitor: Listener) -> None:
    status, found = await visitor.call("GET", "charts", params={"genre": "tone"})

    assert (status, found["genre"], found["items"]) == (200, "Tone", [])


@pytest.mark.parametrize(
    ("asked", "status", "span"),
    [
        (None, 200, (0, None)),
        ("bytes=0-99", 206, (0, 100)),
        ("bytes=100-", 206, (100, None)),
        ("bytes=0-0", 206, (0, 1)),
        ("bytes=-100", 206, (-100, None)),
        ("bytes=-999999999", 206, (0, None)),
        ("bytes=10-999999999", 206, (10, None)),
        ("bytes=0-1,5-6", 200, (0, None)),
        ("bytes=9-2", 200, (0, None)),
        ("chairs=0-1", 200, (0, None)),
        ("nonsense", 200, (0, None)),
        ("bytes=999999999-", 416, None),
    ],
)
async def test_ranges_of_sound(
    web: Server, visitor: Listener, asked: str | None, status: int, span: tuple[int, int | None] | None
) -> None:
    whole = (web.settings.data_dir / "audio" / "1.ogg").read_bytes()
    headers = visitor.headers | ({"Range": asked} if asked else {})
    async with visitor.http.get(f"{web.url}/api/v1/tracks/1/audio", headers=headers) as response:
        body = await response.read()

        assert response.status == status
        if span is not None:
            begin, end = span[0] % len(whole), len(whole) if span[1] is None else span[1]
            assert body == whole[begin:end]
            assert response.content_type == "audio/ogg"
            assert response.headers["Accept-Ranges"] == "bytes"
        if status == 206:
            assert response.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{len(whole)}"
        if status == 416:
            assert response.headers["Content-Range"] == f"bytes */{len(whole)}"


async def test_sound_that_a_browser_has_is_not_sent_again(web: Server, visitor: Listener) -> None:
    url = f"{web.url}/api/v1/tracks/1/audio"
    async with visitor.http.get(url, headers=visitor.headers) as response:
        etag = response.headers["ETag"]
    async with visitor.http.get(url, headers=visitor.headers | {"If-None-Match": etag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    old = {"Range": "bytes=0-9", "If-Range": '"another"'}
    async with visitor.http.get(url, headers=visitor.headers | old) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    "path", ["tracks/7/audio", "tracks/90/audio", "tracks/999/audio", "tracks/..%2f1/audio"]
)
async def test_there_is_no_sound_outside_the_data_folder(web: Server, visitor: Listener, path: str) -> None:
    (web.settings.data_dir.parent / "outside.ogg").write_bytes(b"secret")

    assert (await visitor.call("GET", path))[0] == 404


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "/..%2fpyproject.toml", "/app.py", "/secret-key"]
)
async def test_the_page_serves_only_its_own_files(web: Server, visitor: Listener, path: str) -> None:
    async with visitor.http.get(web.url + path) as response:
        assert response.status == 404


async def test_the_api_describes_itself_without_any_other_host(web: Server, visitor: Listener) -> None:
    status, document = await visitor.call("GET", "openapi.json")

    assert status == 200
    assert document["openapi"].startswith("3.")
    assert {"/api/v1/events", "/api/v1/feed", "/api/v1/recommendations"} <= set(document["paths"])
