"""Lists: exact, equal in any batch, within their rules, and never short without need."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.catalogue import Chart
from recommender.encoding import CHOSEN, HIDDEN, LIKED, History
from recommender.foldin import fold_in
from recommender.history import genre_key
from recommender.model import Model
from recommender.ranking import Catalogue, Charts, RankingConfig, Request, recommend
from recommender.strength import strengths
from schemas.recommendations import Item
from tests.recommender.ranked import ALL_NEW, NOW_S, catalogue, charts, history, listened, made, request


def one(
    of: Request,
    model: Model | None,
    tracks: Catalogue,
    config: RankingConfig | None = None,
    charted: Charts | None = None,
) -> list[Item]:
    [items] = recommend([of], model, tracks, charted or Charts.empty(), config or RankingConfig())
    return items


def ids(items: list[Item]) -> list[int]:
    return [item.track_id for item in items]


def kinds(items: list[Item]) -> list[str]:
    return [item.reasons[0].kind for item in items if item.reasons]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 5000), st.integers(1, 16))
def test_a_list_equals_sorting_all_scores_in_float64(seed: int, items: int, rank: int) -> None:
    model = made(seed, items, rank)
    random = np.random.default_rng(seed)
    heard = random.choice(model.track_ids, min(items, 9), replace=False)
    of = listened(*heard.tolist())
    [x] = fold_in(model, [strengths(of)])
    scores = np.round(model.factor_rows.astype(float) @ x, 6) + 0.0
    expected = np.lexsort((model.track_ids, -scores))[:20]

    found = one(request(of), model, catalogue(items), ALL_NEW)

    assert [item.score for item in found] == pytest.approx(scores[expected], abs=1.1e-6)
    assert ids(found) == model.track_ids[expected].tolist()


def test_equal_scores_stand_in_the_order_of_their_ids() -> None:
    model = Model.build(
        "m", np.arange(1, 3001), np.ones((3000, 2)), np.ones(3000, bool), np.ones(3000), 0.1, 10.0
    )

    found = one(request(listened(2000)), model, catalogue(3000), ALL_NEW)

    assert ids(found) == list(range(1, 21))


def test_users_ranked_together_equal_users_ranked_alone() -> None:
    model, tracks, config = made(7, 9000), catalogue(9000, artists=400), RankingConfig()
    random = np.random.default_rng(7)
    requests = [
        request(listened(*random.choice(9000, 1 + user % 30, replace=False).tolist()), user, offset=user)
        for user in range(1, 70)
    ]
    requests.insert(11, request(History.empty(), 500))
    charted = charts((5, 9), (6, 3))

    together = recommend(requests, model, tracks, charted, config)
    backwards = recommend(requests[::-1], model, tracks, charted, config)[::-1]
    alone = [recommend([of], model, tracks, charted, config)[0] for of in requests]

    assert together == alone == backwards
    assert recommend([], model, tracks, charted, config) == []


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_rules_hold_for_any_history(data: st.DataObject) -> None:
    items, artists = data.draw(st.integers(1, 120)), data.draw(st.integers(1, 60))
    tracks = catalogue(items, artists)
    model = made(3, data.draw(st.integers(1, 120))) if data.draw(st.booleans()) else None
    flags = st.sampled_from([0, 0, 0, LIKED, HIDDEN, CHOSEN])
    rows = [
        {"track_id": track_id, "listens": listens, "skips": 1 - listens, "flags": flag}
        for track_id, listens, flag in data.draw(
            st.lists(st.tuples(st.integers(1, 130), st.integers(0, 1), flags), unique_by=lambda row: row[0])
        )
    ]
    hidden_artists = set(data.draw(st.lists(st.integers(1, 60), max_size=3)))
    last = data.draw(st.none() | st.integers(1, 130))
    of = request(history(*rows, hidden_artists=tuple(hidden_artists)), last=last)
    config = RankingConfig()

    found = one(of, model, tracks, config, charts((1, 5), (3, 4), (125, 3)))

    played = sorted(
        (row for row in rows if not row["flags"] or row["listens"] or row["skips"]),
        key=lambda r: r["track_id"],
    )
    forbidden = {row["track_id"] for row in rows if row["flags"] == HIDDEN} | {last}
    forbidden |= {row["track_id"] for row in played[: config.recent_tracks]}  # lower ids are newer here
    artist_of = dict(zip(tracks.track_ids.tolist(), tracks.artist_ids.tolist(), strict=True))
    allowed = {t for t, a in artist_of.items() if t not in forbidden and a not in hidden_artists}
    assert len(set(ids(found))) == len(found)
    assert set(ids(found)) <= allowed
    assert len(found) == min(config.length, len(allowed))
    per_artist = np.bincount([artist_of[t] for t in ids(found)], minlength=1)
    possible = sum(
        min(config.artist_cap, n) for n in np.bincount([artist_of[t] for t in allowed], minlength=1)
    )
    if possible >= config.length:
        assert per_artist.max() <= config.artist_cap
    assert all(item.reasons or item.score <= 0 for item in found)


def test_hidden_tracks_and_artists_never_come() -> None:
    model, tracks = made(1, 100), catalogue(100, artists=10)
    plain = one(request(listened(1, 2, 3)), model, tracks)
    hidden, artist = plain[0].track_id, int(tracks.artist_ids[plain[1].track_id - 1])
    of = history(
        *({"track_id": t} for t in (1, 2, 3)),
        {"track_id": hidden, "listens": 0, "flags": HIDDEN},
        hidden_artists=(artist,),
    )

    found = one(request(of), model, tracks)

    assert hidden not in ids(found)
    assert artist not in tracks.artist_ids[np.array(ids(found)) - 1]
    assert len(found) == 20


def test_what_was_just_played_does_not_come_again() -> None:
    model = made(1, 100)
    of = history(*({"track_id": t, "last_s": NOW_S - t} for t in range(1, 9)))

    found = one(request(of), model, catalogue(100), replace(ALL_NEW, recent_tracks=5, length=95))

    assert set(range(1, 101)) - set(ids(found)) == {1, 2, 3, 4, 5}


def test_tracks_liked_since_do_not_take_the_places_of_those_just_played() -> None:
    model = made(1, 100)
    liked = [{"track_id": t, "last_s": NOW_S, "flags": LIKED} for t in range(1, 8)]
    played = [{"track_id": t, "last_s": NOW_S - t} for t in range(11, 19)]

    found = one(
        request(history(*liked, *played)), model, catalogue(100), replace(ALL_NEW, recent_tracks=5, length=90)
    )

    assert set(range(11, 16)).isdisjoint(ids(found))
    assert {16, 17, 18} <= set(ids(found))


def test_of_one_who_likes_everything_three_times_as_many_do_not_come() -> None:
    model = made(1, 100)
    liked = [{"track_id": t, "last_s": NOW_S - t, "flags": LIKED} for t in range(1, 41)]

    found = one(request(history(*liked)), model, catalogue(100), replace(ALL_NEW, recent_tracks=5, length=90))

    assert set(range(1, 101)) - set(ids(found)) == set(range(1, 16))


def test_the_last_track_never_comes_though_many_were_played_in_its_second() -> None:
    model, tracks = made(1, 40), catalogue(40)
    of = history(*({"track_id": t, "last_s": NOW_S} for t in range(1, 31)))

    found = one(request(of, last=20), model, tracks)

    assert len(found) == 20
    assert 20 not in ids(found)
    assert set(range(31, 41)) <= set(ids(found))  # tracks of other seconds come first


def test_at_most_two_tracks_of_an_artist_stand_in_twenty() -> None:
    model, tracks = made(1, 2000), catalogue(2000, artists=40)

    found = one(request(listened(5, 45, 85, 125)), model, tracks)

    assert np.bincount(tracks.artist_ids[np.array(ids(found)) - 1]).max() == 2


def test_the_artist_cap_gives_way_only_where_the_list_would_be_short() -> None:
    model = made(1, 60)

    enough = one(request(listened(1, 2)), model, catalogue(60, artists=10))
    scarce = one(request(listened(1, 2)), model, catalogue(60, artists=3))

    assert (
        np.bincount(catalogue(60, artists=10).artist_ids[np.array(ids(enough)) - 1])[1:].tolist() == [2] * 10
    )
    assert len(scarce) == 20


def test_known_tracks_fill_a_stated_share_while_new_ones_are_good() -> None:
    random = np.random.default_rng(4)
    rows = np.abs(random.normal(size=(400, 1))) * [[1.0, 0.2]]  # all of one kind: new ones score well
    model = Model.build("m", np.arange(1, 401), rows, np.ones(400, bool), np.ones(400), 0.1, 10.0)
    heard = set(range(1, 201))

    found = one(request(listened(*heard)), model, catalogue(400), RankingConfig(recent_tracks=5))

    assert len(heard & set(ids(found))) <= 5


def test_known_tracks_go_before_new_ones_that_fit_badly() -> None:
    rows = np.zeros((60, 2))
    rows[:30, 0] = 1.0  # the user's kind, all heard
    rows[30:, 1] = 1.0  # another kind
    model = Model.build("m", np.arange(1, 61), rows, np.ones(60, bool), np.ones(60), 0.1, 10.0)
    config = RankingConfig(discovery_share=0.1, recent_tracks=5)

    found = one(request(listened(*range(1, 31))), model, catalogue(60), config)

    assert sum(track_id <= 30 for track_id in ids(found)) == 18
    assert sum(track_id > 30 for track_id in ids(found)) == 2  # the discoveries


def test_discoveries_fill_their_share_and_follow_user_offset_and_model() -> None:
    model, tracks, of = made(1, 2000), catalogue(2000), listened(4, 8, 15)
    places = RankingConfig().length * RankingConfig().discovery_share

    def discovered(user: int, offset: int, used: Model) -> set[int]:
        found = one(request(of, user, offset), used, tracks)
        return {item.track_id for item in found if item.reasons[0].kind == "discovery"}

    first = discovered(1, 1, model)

    assert len(first) == places == 2
    assert first == discovered(1, 1, model)
    others = [
        discovered(2, 1, model),
        discovered(1, 2, model),
        discovered(1, 1, replace(model, model_id="n")),
    ]
    assert all(other != first for other in others)
    best = set(ids(one(request(of), model, tracks, replace(ALL_NEW, length=100, recent_tracks=5))))
    assert len(set(ids(one(request(of), model, tracks))) - first - best) == 0


def test_the_draws_are_the_same_on_every_machine() -> None:
    """Lists are a function of seeds, stream and order: a change of these needs a new rules version."""
    found = one(request(History.empty(), user=7, offset=42), None, catalogue(1000))

    assert ids(found)[:5] == [23, 671, 742, 207, 463]


def test_a_track_named_as_a_reason_is_one_of_the_history() -> None:
    model, of = made(2, 500), listened(3, 9, 12, 40)

    found = one(request(of), model, catalogue(500))

    for item in found:
        for reason in item.reasons:
            if reason.kind in ("interaction", "audio"):
                assert reason.track_id in (3, 9, 12, 40)
                assert reason.share is not None
                assert reason.share > 0
                assert (reason.kind == "audio") == (not model.fitted[item.track_id - 1])
        assert len(item.reasons) <= 4
    assert "audio" in kinds(found)


def test_without_a_model_charts_come_first_and_draws_fill_up() -> None:
    found = one(
        request(History.empty()), None, catalogue(500), None, charts((40, 9), (7, 3), (9999, 2), (8, 1))
    )

    assert [(item.track_id, item.score) for item in found[:3]] == [(40, 1.0), (7, 0.333333), (8, 0.111111)]
    assert [(item.reasons[0].kind, item.reasons[0].count) for item in found[:3]] == [
        ("popular", 9), ("popular", 3), ("popular", 1),
    ]  # fmt: skip
    assert kinds(found[3:]) == ["discovery"] * 17


def test_chosen_genres_lead_a_cold_start() -> None:
    jazz = np.array([11, 22, 33, 44])
    genres = {
        "genre_keys": np.full(4, genre_key("Jazz"), np.uint32),
        "genre_rows": jazz - 1,
    }
    of = history(genres=("jazz",))

    found = one(request(of), None, catalogue(500, **genres), None, charts((40, 9), (33, 3)))

    assert ids(found)[0] == 33
    assert set(ids(found)[:4]) == set(jazz.tolist())
    assert kinds(found)[:5] == ["taste", "taste", "taste", "taste", "popular"]


def test_the_chart_of_a_chosen_genre_leads_also_with_tracks_of_genres_below_it() -> None:
    keys = np.full(3, genre_key("Rock"), np.uint32)
    tracks = catalogue(500, genre_keys=keys, genre_rows=np.array([10, 21, 32]))
    rock = Chart(np.array([77, 22, 9999]), np.array([4, 3, 2]))  # track 77 is Punk
    charted = Charts("charts", np.array([40, 33]), np.array([9, 3]), {genre_key("Rock"): rock})

    found = one(request(history(genres=("rock",))), None, tracks, None, charted)
    others = one(request(history(genres=("jazz",))), None, tracks, None, charted)

    assert ids(found)[:5] == [77, 22, 33, 11, 40]
    assert kinds(found)[:5] == ["taste", "taste", "taste", "taste", "popular"]
    assert [reason.count for reason in found[0].reasons] == [None, 4]
    assert ids(others)[:2] == [40, 33]


def test_a_user_whom_the_model_does_not_know_gets_charts() -> None:
    model, tracks, charted = made(1, 50), catalogue(100), charts((40, 9))
    unheard_of = history({"track_id": 90})
    disliking = history({"track_id": 3, "listens": 0, "skips": 2})

    for of in (History.empty(), unheard_of, disliking):
        assert kinds(one(request(of), model, tracks, None, charted))[0] == "popular"
    assert kinds(one(request(listened(3)), model, tracks, None, charted))[0] == "interaction"


def test_places_that_a_small_model_cannot_fill_come_from_the_catalogue() -> None:
    found = one(request(listened(1, 2)), made(1, 12), catalogue(100), RankingConfig(recent_tracks=1))

    assert len(found) == 20
    assert set(ids(found)) > set(range(2, 13))
    assert kinds(found)[-9:] == ["discovery"] * 9


def test_tracks_outside_the_catalogue_never_come() -> None:
    model = made(1, 500)
    few = Catalogue("c2", np.arange(100, 500, 9), np.arange(100, 500, 9))

    found = one(request(listened(1, 2, 3)), model, few)

    assert set(ids(found)) <= set(few.track_ids.tolist())
    assert len(found) == 20


def test_an_empty_catalogue_gives_empty_lists() -> None:
    nothing = Catalogue("none", np.empty(0, np.int64), np.empty(0, np.int64))

    assert one(request(listened(1)), made(1, 5), nothing) == []
    assert one(request(History.empty()), None, nothing, None, charts((1, 2))) == []


def test_the_version_names_the_configuration() -> None:
    assert RankingConfig().version == RankingConfig().version
    assert RankingConfig(length=19).version != RankingConfig().version
