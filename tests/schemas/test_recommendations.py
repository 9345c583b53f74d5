"""The records of topic ``recommendations``: readable for ever, and bounded."""

import json

import pytest

from recommender.ranking_config import RankingConfig
from schemas.errors import MalformedEvent
from schemas.events import MAX_ID, MAX_TIME_MS
from schemas.recommendations import (
    Cause,
    Impression,
    Item,
    Rail,
    Reason,
    Recommendations,
    Timings,
    decode_recommendations,
    encode,
)

MOST_BYTES = 16_384
BEFORE_RAILS = (
    b'{"v":1,"generation":"g","partition":3,"offset":41,"model_id":"m","charts_id":null,'
    b'"catalogue_version":"v1","ranking_version":"r1","cause":null,"items":[{"track_id":2,"score":0.5,'
    b'"reasons":[{"kind":"interaction","track_id":1,"share":0.5}]},{"track_id":3,"score":0.25,"reasons":[]}],'
    b'"timings":{"accepted_ms":1.0,"folded_ms":2.0,"ranked_ms":3.0}}'
)


def item(reasons: int, propensity: float | None = None) -> Item:
    why = [Reason(kind="interaction", track_id=MAX_ID, share=-0.123456)] * reasons
    if propensity:
        why = [Reason(kind="discovery"), *why]
    return Item(track_id=MAX_ID, score=-0.123456, reasons=why, propensity=propensity)


def fullest() -> Recommendations:
    """Return the longest page that the ranking makes: the longest numbers everywhere."""
    config = RankingConfig()
    drawn = round(config.discovery_share * config.length)
    heard = Item(
        track_id=MAX_ID, score=-0.123456, reasons=[Reason(kind="heard", count=2**32, last_ms=MAX_TIME_MS)]
    )
    near = Item(track_id=MAX_ID, score=-0.123456, reasons=[Reason(kind="similar", track_id=MAX_ID)])
    return Recommendations(
        generation="g" * 32,
        partition=11,
        offset=MAX_ID,
        model_id="m" * 64,
        charts_id="c" * 32,
        catalogue_version="v" * 64,
        ranking_version="r" * 16,
        cause=Cause(type="imported_listens", session="s" * 64, seq=MAX_ID, track_id=MAX_ID),
        items=[item(config.reasons)] * (config.length - drawn) + [item(config.reasons, 1 / 3)] * drawn,
        timings=Timings(accepted_ms=1.7e12 + 1 / 3, folded_ms=1.7e12 + 1 / 3, ranked_ms=1.7e12 + 1 / 3),
        rails=[
            Rail(kind="because", track_id=MAX_ID, items=[near] * config.rail_length),
            Rail(kind="rediscover", items=[heard] * config.rail_length),
            Rail(kind="discovery", items=[item(config.rail_reasons, 1 / 3)] * config.rail_length),
        ],
    )


def test_a_list_from_before_there_were_rails_is_read() -> None:
    found = decode_recommendations(BEFORE_RAILS)

    assert [one.track_id for one in found.items] == [2, 3]
    assert (found.rails, found.brief, found.items[0].propensity) == ([], False, None)


def test_a_reader_that_knows_no_rails_finds_what_it_knows() -> None:
    data = json.loads(encode(fullest()))

    known = json.loads(BEFORE_RAILS)
    assert known.keys() <= data.keys()
    assert known["items"][0].keys() <= data["items"][0].keys()


def test_a_page_comes_back_from_its_bytes() -> None:
    page = fullest()

    assert decode_recommendations(encode(page)) == page


def test_a_page_is_bounded() -> None:
    assert len(encode(fullest())) < MOST_BYTES


def test_an_impression_names_what_was_drawn() -> None:
    shown = Impression(
        partition=1, offset=2, model_id=None, track_ids=[7], server_time_ms=3, propensities={7: 0.25}
    )

    assert json.loads(encode(shown))["propensities"] == {"7": 0.25}


def test_what_is_no_list_is_refused() -> None:
    with pytest.raises(MalformedEvent, match="not a list"):
        decode_recommendations(b'{"rails": 1}')
