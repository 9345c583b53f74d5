"""Work that is under way: who may do it, and how far it is."""

from typing import NotRequired, TypedDict

from schemas.documents.collection import Collection


class Lease(TypedDict):
    """``leases``: ``_id`` = what is leased."""

    _id: str
    holder: str
    until_ms: int


class SnapshotPin(TypedDict):
    """``snapshot_pins``: a snapshot that somebody reads, and until when it is kept for that."""

    _id: str
    generation: str
    snapshot_id: str
    until_ms: int


class Job(TypedDict):
    """``jobs``: progress of trainings and imports."""

    _id: str
    kind: str
    state: str  # "running", "done", "refused", "failed"
    step: str
    done: int
    total: int
    message: str
    pid: NotRequired[int]  # of the process that does it
    size: NotRequired[int]  # applied events of the snapshot
    step_s: NotRequired[list[float]]  # seconds of each step that is over
    left_s: NotRequired[float | None]  # seconds that are expected to be left; None: nothing is known
    updated_ms: int


LEASES = Collection("leases")
SNAPSHOT_PINS = Collection("snapshot_pins")
JOBS = Collection("jobs", (((("updated_ms", -1),), {}),))
