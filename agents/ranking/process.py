"""``python -m agents.ranking.process FD``: ranks for one worker until that one is gone.

A process of its own has its own interpreter: the worker folds, sends and answers while lists are ranked.
It knows nothing of the log and keeps nothing: what it says depends only on what it is told.
"""

import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback
from weakref import WeakSet

from agents.ranking import frames
from agents.ranking.shared_model import mapped
from recommender.candidates import ranking_space
from recommender.catalogue import Catalogue, Charts
from recommender.encoding import History
from recommender.model import Model
from recommender.ranking import Page, RankingConfig, Request, rank
from schemas import recommendations
from schemas.errors import InvalidModel
from schemas.recommendations import Cause, Recommendations, Timings

_READ_BYTES = 1_048_576
_DESCRIPTORS = 8


class RankingProcess:
    """Does what it is told, in that order; only the making of a model's sieve goes beside."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._descriptors: list[int] = []
        self._saying = threading.Lock()
        self._models: dict[str, Model] = {}
        self._alive: WeakSet[Model] = WeakSet()
        self._catalogue = Catalogue.empty()
        self._charts = Charts.empty()
        self._begun = frames.Begin(RankingConfig(), "")

    def run(self) -> None:
        """Work until the worker has closed its end, or is gone."""
        decoder = frames.Decoder()
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._connection, _READ_BYTES, _DESCRIPTORS)
            self._descriptors += descriptors
            if not data:
                return
            for order in decoder.frames(data):
                self._do(order)

    def _do(self, order: frames.Order | frames.Answer) -> None:
        match order:
            case frames.Rank():
                self._say(self._ranked(order))
            case frames.Surround():
                self._catalogue = order.catalogue or self._catalogue
                self._charts = order.charts or self._charts
            case frames.Hold():
                # beside the lists: it takes a tenth of a second
                given = (order, self._descriptors.pop(0))
                threading.Thread(target=self._hold, args=given, daemon=True).start()
            case frames.Keep():
                self._say(self._kept(order))
            case frames.Begin():
                self._begun = order
            case _:
                raise AssertionError(f"not an order: {order!r}")

    def _say(self, answer: frames.Answer) -> None:
        with self._saying:
            self._connection.sendall(frames.encode(answer))

    def _hold(self, order: frames.Hold, descriptor: int) -> None:
        model = mapped(order.shared, descriptor)
        os.close(descriptor)
        _ = model.sieve  # made now, not while a list waits
        self._alive.add(model)
        self._models[model.model_id] = model
        self._say(frames.Held(model.model_id, len(self._alive)))

    def _kept(self, order: frames.Keep) -> frames.Kept:
        for model_id in self._models.keys() - order.model_ids:
            del self._models[model_id]
        ranking_space.cache_clear()  # it keeps models; what is needed is built again in milliseconds
        return frames.Kept(len(self._alive))

    def _ranked(self, order: frames.Rank) -> frames.Ranked | frames.Unranked:
        if order.model_id is not None and order.model_id not in self._models:
            return frames.Unranked(order.number, False, f"model {order.model_id} is not held")
        model = None if order.model_id is None else self._models[order.model_id]
        requests = [
            Request(one.user_id, one.partition, one.offset, History.from_bytes(one.history), one.played)
            for one in order.asked
        ]
        try:
            config = self._begun.config
            pages = rank(requests, model, self._catalogue, self._charts, config, rails=not order.brief)
        except InvalidModel as error:
            return frames.Unranked(order.number, True, str(error))
        ranked_ms = time.time() * 1000
        messages = [
            self._message(one, page, order, ranked_ms) for one, page in zip(order.asked, pages, strict=True)
        ]
        return frames.Ranked(order.number, ranked_ms, messages)

    def _message(self, asked: frames.Asked, page: Page, order: frames.Rank, ranked_ms: float) -> bytes:
        message = Recommendations(
            generation=self._begun.generation,
            partition=asked.partition,
            offset=asked.offset,
            model_id=order.model_id,
            charts_id=self._charts.charts_id,
            catalogue_version=self._catalogue.version,
            ranking_version=self._begun.config.version,
            cause=None if asked.cause is None else _cause(*asked.cause),
            items=page.items,
            timings=Timings(accepted_ms=asked.accepted_ms, folded_ms=asked.folded_ms, ranked_ms=ranked_ms),
            rails=page.rails,
            brief=order.brief,
        )
        return recommendations.encode(message)


def _cause(kind: str, session: str, seq: int, track_id: int | None) -> Cause:
    return Cause(type=kind, session=session, seq=seq, track_id=track_id)


def main(descriptor: int) -> None:
    """Rank for the worker at the other end of a socket; a defect is told to it, and ends both."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker says when it is over
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as connection:
        process = RankingProcess(connection)
        try:
            process.run()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the worker is gone
        except BaseException:
            connection.sendall(frames.encode(frames.Failed(traceback.format_exc())))
            raise


if __name__ == "__main__":
    main(int(sys.argv[1]))
