"""What a replay keeps beside its parts: what was asked for, and how far a long partition came.

::

    <uri>/<generation>/<replay id>/plan.json              written first
    <uri>/<generation>/<replay id>/checkpoint-03.parquet  replaced while partition 3 is folded, then removed

Blocking, as ``connections.snapshot_store``.
"""

from collections.abc import Container, Iterable

from pyarrow import fs

from connections.snapshot_store import SnapshotStore
from schemas import snapshots
from schemas.snapshots import PartHeader, ReplayPlan, is_replay


class ReplayStore(SnapshotStore):
    """Snapshots, and the unfinished work of replays."""

    def write_plan(self, plan: ReplayPlan) -> None:
        """Keep what a replay was asked for."""
        with self._replacing(self._plan_path(plan.generation, plan.snapshot_id)) as sink:
            sink.write(snapshots.encode(plan))

    def plan(self, generation: str, snapshot_id: str) -> ReplayPlan | None:
        """Return what a replay was asked for, or None."""
        path = self._plan_path(generation, snapshot_id)
        if not self._exists(path):
            return None
        with self._files.open_input_file(path) as source:
            return snapshots.decode_plan(source.read())

    def plans(self, generation: str) -> list[ReplayPlan]:
        """Return all replays of a log, complete or not, the one asked for last first."""
        names = filter(is_replay, self._snapshot_ids(generation))
        found = [plan for name in names if (plan := self.plan(generation, name)) is not None]
        return sorted(found, key=lambda plan: plan.created_ms, reverse=True)

    def part_header(self, generation: str, snapshot_id: str, partition: int) -> PartHeader | None:
        """Return the header of one part, or None without the part."""
        path = self._part_path(generation, snapshot_id, partition)
        return self._read_header(path) if self._exists(path) else None

    def replace_part(self, header: PartHeader, rows: Iterable[tuple[str, bytes]]) -> None:
        """Write a part, whatever damaged one stands there."""
        self._write(self._part_path(header.generation, header.snapshot_id, header.partition), header, rows)

    def write_checkpoint(self, header: PartHeader, rows: Iterable[tuple[str, bytes]]) -> None:
        """Replace a partition's checkpoint."""
        self._write(
            self._checkpoint_path(header.generation, header.snapshot_id, header.partition), header, rows
        )

    def checkpoint_header(self, generation: str, snapshot_id: str, partition: int) -> PartHeader | None:
        """Return how far a partition came, or None."""
        path = self._checkpoint_path(generation, snapshot_id, partition)
        return self._read_header(path) if self._exists(path) else None

    def read_checkpoint(
        self, generation: str, snapshot_id: str, partition: int
    ) -> tuple[PartHeader, dict[str, bytes]]:
        """Return a checkpoint's header and histories; raise ``InvalidSnapshot`` when it cannot be read."""
        return self._read(self._checkpoint_path(generation, snapshot_id, partition))

    def remove_checkpoint(self, generation: str, snapshot_id: str, partition: int) -> None:
        """Remove a partition's checkpoint, if there is one."""
        path = self._checkpoint_path(generation, snapshot_id, partition)
        if self._exists(path):
            self._files.delete_file(path)

    def tidy(self, generation: str, snapshot_id: str) -> None:
        """Remove what a replay needs no more once it is complete: checkpoints, and files never finished."""
        folder = fs.FileSelector(self._folder(generation, snapshot_id))
        for info in self._files.get_file_info(folder):
            if info.base_name.startswith("checkpoint-") or info.base_name.endswith(".tmp"):
                self._files.delete_file(info.path)

    def prune_replays(
        self, generation: str, keep: int, completed: str, in_use: Container[str] = ()
    ) -> list[str]:
        """Remove replays but those in use, the one just completed and the ``keep`` - 1 asked for last.

        Returns
        -------
        the ids that went, complete or not
        """
        others = [plan.snapshot_id for plan in self.plans(generation) if plan.snapshot_id != completed]
        gone = [name for name in others[keep - 1 :] if name not in in_use]
        for snapshot_id in gone:
            self._files.delete_dir(self._folder(generation, snapshot_id))
        return gone

    def _plan_path(self, generation: str, snapshot_id: str) -> str:
        return f"{self._folder(generation, snapshot_id)}/plan.json"

    def _checkpoint_path(self, generation: str, snapshot_id: str, partition: int) -> str:
        return f"{self._folder(generation, snapshot_id)}/checkpoint-{partition:02d}.parquet"
