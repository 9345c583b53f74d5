"""Frames come out as they went in, however the bytes were cut on their way."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.ranking.frames import Asked, Decoder, Hold, Keep, Kept, Rank, Ranked, encode
from agents.ranking.shared_model import Place, SharedModel

_ASKED = st.builds(
    Asked,
    user_id=st.text(max_size=32),
    partition=st.integers(0, 11),
    offset=st.integers(0, 2**60),
    history=st.binary(max_size=2_000),
    played=st.none() | st.integers(1, 2**56),
    cause=st.none() | st.tuples(st.text(max_size=9), st.text(max_size=9), st.integers(0), st.none()),
    accepted_ms=st.floats(0, 1e15),
    folded_ms=st.floats(0, 1e15),
)
_FRAMES = st.one_of(
    st.builds(Rank, st.integers(0), st.none() | st.text(), st.booleans(), st.lists(_ASKED, max_size=4)),
    st.builds(Ranked, st.integers(0), st.floats(0, 1e15), st.lists(st.binary(max_size=6_000), max_size=4)),
    st.builds(Keep, st.frozensets(st.text(max_size=8))),
    st.builds(Kept, st.integers(0, 9)),
    st.just(Hold(SharedModel("m", 0.1, 2.0, (Place("track_ids", "<i8", (3,), 0),), 64))),
)


@given(st.lists(_FRAMES, max_size=6), st.integers(0, 2**32))
def test_frames_come_out_as_they_went_in(frames: list, seed: int) -> None:
    data, draw = b"".join(map(encode, frames)), np.random.default_rng(seed)
    cuts = np.sort(draw.integers(0, len(data) + 1, size=12)).tolist()
    decoder = Decoder()

    found = [
        frame
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
        for frame in decoder.frames(data[start:end])
    ]

    assert found == frames
