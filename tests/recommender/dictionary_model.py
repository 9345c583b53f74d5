"""A second, plain statement of what a history holds: dictionaries and sets, nothing of the product."""

from hashlib import blake2b
from typing import Any

from schemas import events


class DictionaryHistory:
    """One user's history as a reader of the documentation would write it. Without bounds."""

    def __init__(self) -> None:
        self.here: dict[int, dict[str, Any]] = {}
        self.imports: dict[tuple[int, str], tuple[int, int]] = {}
        self.order: list[tuple[int, str | None]] = []
        self.hidden_artists: set[int] = set()
        self.genres: list[str] = []
        self.last_event_ms = 0

    def apply(self, event: Any) -> None:
        """Take one event in."""
        self.last_event_ms = max(self.last_event_ms, event.server_time_ms)
        if isinstance(event, events.Play):
            self._play(event)
        elif isinstance(event, events.Like | events.Less):
            self._said(event.track_id, "liked" if isinstance(event, events.Like) else "less", event)
        elif isinstance(event, events.Unlike):
            self._unsaid(event.track_id, "liked")
        elif isinstance(event, events.Hide):
            if event.track_id is None:
                self.hidden_artists.add(event.artist_id)
            else:
                self._said(event.track_id, "hidden", event)
        elif isinstance(event, events.Unhide):
            if event.track_id is None:
                self.hidden_artists.discard(event.artist_id)
            else:
                self._unsaid(event.track_id, "hidden")
        elif isinstance(event, events.TasteStart):
            for genre in event.genres:
                if genre.lower() not in self.genres:
                    self.genres.append(genre.lower())
            for track_id in event.track_ids:
                self._said(track_id, "chosen", event)
        elif isinstance(event, events.ImportedListens):
            if (event.track_id, event.source) not in self.imports:
                self.order.append((event.track_id, event.source))
            self.imports[event.track_id, event.source] = ((event.last_time_ms or 0) // 1000, event.count)
        else:
            self.__init__()
            self.last_event_ms = event.server_time_ms

    def rows(self) -> dict[tuple[int, int], tuple[int, Any, set[str]]]:
        """Return (seconds, counts, flags) of each (track, key of its source)."""
        found: dict[tuple[int, int], tuple[int, Any, set[str]]] = {}
        for track_id, source in self.order:
            if source is None:
                row = self.here[track_id]
                counts = (min(4095, row["listens"]), min(4095, row["completions"]), min(255, row["skips"]))
                found[track_id, 0] = (row["last_s"], counts, row["flags"])
            else:
                last_s, count = self.imports[track_id, source]
                found[track_id, _key(source)] = (last_s, count, set())
        return found

    def _row(self, track_id: int) -> dict[str, Any]:
        if track_id not in self.here:
            self.here[track_id] = {"listens": 0, "completions": 0, "skips": 0, "flags": set(), "last_s": 0}
            self.order.append((track_id, None))
        return self.here[track_id]

    def _play(self, event: events.Play) -> None:
        row = self._row(event.track_id)
        row["last_s"] = event.server_time_ms // 1000
        share = event.listened_ms / event.track_ms
        if share >= 0.5 or event.listened_ms >= 4 * 60 * 1000:
            row["listens"] += 1
            row["completions"] += event.end_reason == "finished" and share >= 0.8
        elif event.end_reason == "skipped":
            row["skips"] += 1

    def _said(self, track_id: int, what: str, event: Any) -> None:
        row = self._row(track_id)
        row["flags"].add(what)
        row["last_s"] = event.server_time_ms // 1000

    def _unsaid(self, track_id: int, what: str) -> None:
        if track_id in self.here:
            self.here[track_id]["flags"].discard(what)


def _key(source: str) -> int:
    return int.from_bytes(blake2b(source.encode(), digest_size=4).digest(), "little")
