"""Rails: what each one promises, and the rules that hold on every page."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.encoding import CHOSEN, HIDDEN, LESS, LIKED, History
from recommender.exploration import falling_weights
from recommender.foldin import fold_in
from recommender.history import source_key
from recommender.model import Model
from recommender.ranking import Catalogue, Charts, Page, RankingConfig, Request, rank, recommend
from recommender.strength import strengths
from schemas.recommendations import Item, Rail, Reason
from tests.recommender.ranked import NOW_S, catalogue, charts, history, listened, made, request

DAY_S = 86_400
CONFIG = RankingConfig()
LATELY = tuple({"track_id": track_id, "last_s": NOW_S} for track_id in range(301, 306))
"""The tracks just played, which do not come again."""


def one(
    of: Request | History,
    model: Model | None,
    tracks: Catalogue,
    config: RankingConfig = CONFIG,
    charted: Charts | None = None,
) -> Page:
    asked = request(of) if isinstance(of, History) else of
    [page] = rank([asked], model, tracks, charted or Charts.empty(), config)
    return page


def rail(page: Page, kind: str) -> Rail:
    [found] = [rail for rail in page.rails if rail.kind == kind]
    return found


def ids(items: list[Item]) -> list[int]:
    return [item.track_id for item in items]


def kinds(page: Page) -> list[str]:
    return [rail.kind for rail in page.rails]


def ago(days: float) -> int:
    return int(NOW_S - days * DAY_S)


def circle(tracks: int, fitted: Any = True) -> Model:
    """Return a model whose tracks lie on half a circle, an even step apart: near is what is near by id."""
    angles = np.linspace(0, np.pi, tracks)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.linspace(1, 3, tracks)[:, None]
    flags = np.broadcast_to(np.asarray(fitted, bool), tracks)
    return Model.build("c", np.arange(1, tracks + 1), rows, flags, np.ones(tracks), 0.1, 10.0)


# because


def test_because_holds_the_nearest_of_what_was_heard_by_cosine_beside_the_list() -> None:
    model, tracks = circle(200), catalogue(200)

    page = one(request(listened(100), last=100), model, tracks)

    found = rail(page, "because")
    rows = model.factor_rows.astype(float)
    rows /= np.linalg.norm(rows, axis=1)[:, None]
    cosines = np.round(rows @ rows[99], 6)
    nearest = np.lexsort((model.track_ids, -cosines)) + 1
    assert found.track_id == 100
    assert ids(found.items) == [t for t in nearest.tolist() if t != 100 and t not in ids(page.items)][:10]
    assert [item.score for item in found.items] == [cosines[item.track_id - 1] for item in found.items]
    assert all(item.reasons == [Reason(kind="similar", track_id=100)] for item in found.items)


@pytest.mark.parametrize(
    ("rows", "seed"),
    [
        pytest.param([{"last_s": ago(1)}, {"last_s": ago(2)}], 10, id="equally strong: the one heard last"),
        pytest.param([{"last_s": ago(1)}, {"last_s": ago(2), "flags": LIKED}], 20, id="a like counts more"),
        pytest.param([{"last_s": ago(1), "skips": 9}, {"last_s": ago(2)}], 20, id="not what was skipped"),
        pytest.param([{"flags": LIKED, "listens": 0}, {"last_s": ago(9)}], 20, id="not what was never heard"),
        pytest.param([{"flags": LESS}, {"last_s": ago(9)}], 20, id="not what is unwanted"),
        pytest.param([{"listens": 1, "last_s": ago(1)}] + [{"last_s": ago(2)}] * 9 + [
            {"last_s": ago(3), "listens": 90}], 10, id="not the strongest of long ago"),
        pytest.param([{"listens": 0, "imported": 99, "source": source_key("a"), "last_s": 0},
                      {"last_s": ago(9)}], 20, id="imports without a time come last"),
        pytest.param([{"listens": 0, "imported": 9, "source": source_key("a"), "last_s": 0},
                      {"listens": 0, "imported": 99, "source": source_key("a"), "last_s": 0}], 20,
                     id="of imports alone the strongest"),
    ],
)  # fmt: skip
def test_because_names_the_strongest_of_the_tracks_heard_last(rows: list[dict[str, Any]], seed: int) -> None:
    of = history(*({"track_id": 10 * (at + 1)} | row for at, row in enumerate(rows)))

    assert rail(one(of, circle(300), catalogue(300)), "because").track_id == seed


def test_tracks_placed_by_their_sound_take_a_share_of_because() -> None:
    fitted = np.arange(1, 301) % 2 == 0
    page = one(listened(100), circle(300, fitted), catalogue(300))

    found = rail(page, "because").items

    assert [item.reasons[0].kind for item in found].count("audio") == 2
    assert {item.track_id % 2 for item in found if item.reasons[0].kind == "similar"} == {0}
    assert [item.score for item in found] == sorted((item.score for item in found), reverse=True)


def test_what_lies_near_a_track_placed_by_its_sound_sounds_like_it() -> None:
    fitted = np.arange(1, 301) % 2 == 0

    found = rail(one(listened(101), circle(300, fitted), catalogue(300)), "because")

    assert found.track_id == 101
    assert all(item.reasons == [Reason(kind="audio", track_id=101)] for item in found.items)


@pytest.mark.parametrize(("step", "known"), [(2, 2), (1, 10)])
def test_known_tracks_take_a_share_of_because_while_there_are_others(step: int, known: int) -> None:
    heard = [{"track_id": track_id, "last_s": ago(20)} for track_id in range(20, 180, step)]
    heard = [row for row in heard if row["track_id"] != 100]
    config = replace(CONFIG, known_share=0.25, length=5)

    page = one(history(*heard, {"track_id": 100, "flags": LIKED}), circle(300), catalogue(300), config)

    found = {row["track_id"] for row in heard} & set(ids(rail(page, "because").items))
    assert len(found) == known


# rediscover


def test_rediscover_holds_what_was_loved_long_ago_strongest_first() -> None:
    of = history(
        {"track_id": 1, "last_s": ago(40), "listens": 3},
        {"track_id": 2, "last_s": ago(400), "listens": 3},  # has faded more
        {"track_id": 3, "last_s": ago(40), "listens": 0, "flags": LIKED},
        {"track_id": 4, "last_s": ago(40), "listens": 2},  # not often enough
        {"track_id": 5, "last_s": ago(29), "listens": 9},  # not long ago
        {"track_id": 6, "last_s": ago(40), "listens": 9, "flags": HIDDEN},
        {"track_id": 7, "last_s": ago(40), "listens": 9, "flags": LESS},
        {"track_id": 8, "last_s": ago(40), "listens": 3, "skips": 200},
        {"track_id": 9, "last_s": ago(35), "listens": 3},
        {"track_id": 10, "last_s": 0, "listens": 0, "imported": 50, "source": source_key("a")},  # when?
        {"track_id": 999, "last_s": ago(40), "listens": 9},  # outside the catalogue
        *LATELY,
    )
    strength_of = dict(zip(*(values.tolist() for values in strengths(of)), strict=True))
    config = replace(CONFIG, known_share=0.0, length=5)

    for model in (circle(600), None):
        found = rail(one(of, model, catalogue(600), config, charts((50, 9))), "rediscover").items

        assert ids(found) == [3, 9, 1, 2]
        assert [item.score for item in found] == [round(strength_of[item.track_id], 6) for item in found]
        assert found[2].reasons == [Reason(kind="heard", count=3, last_ms=ago(40) * 1000)]
        assert found[0].reasons == [Reason(kind="heard", count=0, last_ms=ago(40) * 1000)]


def test_a_track_heard_here_and_elsewhere_is_one_track() -> None:
    rows = [{"track_id": track_id, "last_s": ago(50), "listens": 1} for track_id in (1, 2, 3, 4)]
    elsewhere = {"source": source_key("a"), "listens": 0, "imported": 6, "last_s": 0}
    again = [{"track_id": track_id} | elsewhere for track_id in (1, 2, 3, 4)]
    of = history(*rows, *again, *LATELY)

    found = rail(one(of, None, catalogue(600), CONFIG, charts((50, 9))), "rediscover").items

    assert sorted(ids(found)) == [1, 2, 3, 4]
    assert {item.reasons[0].count for item in found} == {7}


# discovery


def test_discovery_draws_from_the_best_new_tracks_of_artists_not_met_lately() -> None:
    model, tracks = made(4, 3000), catalogue(3000, artists=600)
    of = history(
        *({"track_id": t, "last_s": ago(2 + t / 100)} for t in range(1, 40)),
        {"track_id": 301, "listens": 0, "skips": 1, "last_s": ago(3)},  # a skip is no discovery either
        {"track_id": 302, "listens": 0, "imported": 4, "source": source_key("a"), "last_s": 0},
        {"track_id": 303, "last_s": ago(90)},  # its artist may come again, the track itself not
    )
    met = {1 + t % 600 for t in [*range(1, 40), 301, 302]}
    [x] = fold_in(model, [strengths(of)])
    scores = np.round(model.factor_rows.astype(float) @ x, 6)
    best = (np.lexsort((model.track_ids, -scores)) + 1).tolist()
    drawn: Counter[int] = Counter()
    for offset in range(60):
        page = one(request(of, offset=offset), model, tracks)
        there = set(ids(page.items)) | set(ids(rail(page, "because").items))
        gone = there | set(range(1, 40)) | {301, 302, 303}
        pool = [t for t in best if t not in gone and 1 + t % 600 not in met][:100]
        found = rail(page, "discovery").items
        drawn.update(ids(found))

        assert set(ids(found)) <= set(pool)
        weights = falling_weights(100)
        first = pool.index(found[0].track_id)
        assert found[0].propensity == weights.each[first] / weights.sums[-1]
        assert all(item.reasons[0] == Reason(kind="discovery") for item in found)
        assert all(item.score == scores[item.track_id - 1] for item in found)
    assert len(drawn) > 80


def test_a_new_user_of_a_model_discovers_in_a_small_catalogue_too() -> None:
    page = one(listened(5), made(1, 60), catalogue(60, artists=60))

    assert 4 <= len(rail(page, "discovery").items) <= 10


# all rails


def test_short_rails_are_left_out() -> None:
    assert one(listened(1), made(1, 22), catalogue(22)).rails == []
    assert kinds(one(listened(1), made(1, 26), catalogue(26), replace(CONFIG, rail_least=1))) == ["because"]
    assert one(History.empty(), made(1, 200), catalogue(200)).rails == []
    nothing = Catalogue("none", np.empty(0, np.int64), np.empty(0, np.int64))
    assert one(listened(1), made(1, 5), nothing) == Page([], [])


def test_rails_choose_in_the_order_in_which_they_stand() -> None:
    old = [{"track_id": t, "last_s": ago(60), "listens": 9} for t in range(1, 20)]

    page = one(history(*old, {"track_id": 50, "last_s": ago(0)}), made(2, 400), catalogue(400))

    assert kinds(page) == ["because", "rediscover", "discovery"]


def test_what_is_kept_of_neighbours_decides_nothing() -> None:
    tracks = catalogue(900)
    of = [request(listened(user, user + 9), user) for user in range(1, 40)]
    first, second = made(3, 900), made(3, 900)

    together = rank(of, first, tracks, Charts.empty(), CONFIG)
    again = rank(of, first, tracks, Charts.empty(), CONFIG)
    alone = [rank([each], second, tracks, Charts.empty(), CONFIG)[0] for each in reversed(of)]

    assert together == again == alone[::-1]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Request, Model | None, Catalogue]:
    items = draw(st.integers(1, 160))
    tracks = catalogue(items, draw(st.integers(1, 80)))
    model = made(draw(st.integers(0, 3)), draw(st.integers(1, 160))) if draw(st.integers(0, 5)) else None
    flags = st.sampled_from([0, 0, 0, LIKED, HIDDEN, LESS, CHOSEN])
    days = st.sampled_from([0, 0, 1, 20, 31, 90, 900])
    row = st.tuples(st.integers(1, 170), st.integers(0, 4), st.integers(0, 2), flags, days, st.booleans())
    rows = []
    for track_id, listens, skips, flag, day, elsewhere in draw(
        st.lists(row, max_size=60, unique_by=lambda r: (r[0], r[-1]))
    ):
        at = {"track_id": track_id, "last_s": ago(day) - track_id}
        if elsewhere:
            last_s = at["last_s"] if day else 0
            of = {"source": source_key("a"), "listens": 0, "imported": listens, "last_s": last_s}
            rows.append(at | of)
        else:
            rows.append(at | {"listens": listens, "skips": skips, "flags": flag})
    hidden = tuple(set(draw(st.lists(st.integers(1, 80), max_size=3))))
    last = draw(st.none() | st.integers(1, 170))
    return (
        request(history(*rows, hidden_artists=hidden), offset=draw(st.integers(0, 99)), last=last),
        model,
        tracks,
    )


@settings(deadline=None, max_examples=150)
@given(worlds())
def test_the_rules_hold_on_every_page(world: tuple[Request, Model | None, Catalogue]) -> None:
    of, model, tracks = world
    charted = charts((1, 5), (3, 4), (125, 3))

    page = one(of, model, tracks, CONFIG, charted)

    artist_of = dict(zip(tracks.track_ids.tolist(), tracks.artist_ids.tolist(), strict=True))
    rows = of.history.interactions
    never = set(rows["track_id"][(rows["flags"] & HIDDEN) != 0].tolist()) | {of.last_track_id}
    hidden = set(of.history.hidden_artists.tolist())
    on_page = [*page.items, *(item for rail in page.rails for item in rail.items)]
    assert len(set(ids(on_page))) == len(on_page)
    assert not set(ids(on_page)) & never
    assert not {artist_of[track_id] for track_id in ids(on_page)} & hidden
    assert [page.items] == recommend([of], model, tracks, charted, CONFIG)
    assert kinds(page) == [k for k in ("because", "rediscover", "discovery") if k in kinds(page)]
    for each in page.rails:
        assert CONFIG.rail_least <= len(each.items) <= CONFIG.rail_length
        assert max(Counter(artist_of[track_id] for track_id in ids(each.items)).values()) <= CONFIG.artist_cap
        assert all((item.propensity is not None) == (each.kind == "discovery") for item in each.items)
        assert all(item.reasons for item in each.items)
    for item in on_page:
        was_drawn = any(reason.kind in ("discovery", "taste") for reason in item.reasons)
        assert item.propensity is None or (was_drawn and 0 < item.propensity <= 1)


@settings(deadline=None, max_examples=25)
@given(st.lists(worlds(), min_size=2, max_size=5))
def test_a_page_is_the_same_in_every_batch(found: list[tuple[Request, Model | None, Catalogue]]) -> None:
    model, tracks = found[0][1:]
    of = [request for request, _, _ in found]

    pages = rank(of, model, tracks, Charts.empty(), CONFIG)

    assert pages == [rank([each], model, tracks, Charts.empty(), CONFIG)[0] for each in of]
    assert pages == rank(of[::-1], model, tracks, Charts.empty(), CONFIG)[::-1]
