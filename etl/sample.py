"""Which clips a standardisation is fitted on: the first readable ones in a fixed order."""

from collections.abc import Sequence


class Sample:
    """The first ``size`` readable clips of an order.

    Which they are does not depend on the order in which outcomes become known, nor on which were known
    from an earlier run.

    Parameters
    ----------
    track_ids : all clips, in their order
    """

    def __init__(self, track_ids: Sequence[int], size: int) -> None:
        self.chosen: list[int] = []
        self._order = track_ids
        self._size = size
        self._at = 0
        self._known: dict[int, bool] = {}

    @property
    def complete(self) -> bool:
        """Whether ``chosen`` is final."""
        return len(self.chosen) >= self._size or self._at >= len(self._order)

    def tell(self, track_id: int, *, readable: bool) -> None:
        """Take in what became of a clip; a readable one is stored already."""
        self._known[track_id] = readable
        while not self.complete and self._order[self._at] in self._known:
            track_id = self._order[self._at]
            if self._known.pop(track_id):
                self.chosen.append(track_id)
            self._at += 1
