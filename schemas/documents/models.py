"""Models, how they were found and judged, and which one is in service."""

from typing import Any, NotRequired, TypedDict

from schemas.documents.collection import Collection


class ModelDocument(TypedDict):
    """``models``: one published (or refused) model. ``_id`` is the model id, a SHA-256."""

    _id: str
    seq: int
    training_id: str
    snapshot_id: str
    generation: str
    rank: int
    reg_param: float
    alpha: float
    max_iter: int
    items: int
    chunks: dict[str, list[str]]  # array name -> SHA-256 of each chunk, in order
    shapes: dict[str, list[int]]
    dtypes: dict[str, str]
    metrics: dict[str, Any]
    state: str  # "published" or "refused"
    reason: str | None
    created_ms: int


class ModelChunk(TypedDict):
    """``model_chunks``: ``_id`` = model id:array:number, binary, at most 4 MiB."""

    _id: str
    model_id: str
    data: bytes


class Decision(TypedDict):
    """``decisions``: what became of a model, written once and never changed.

    ``_id`` names what was decided ("served:7", "refused:8", "pruned:<model id>:3"), so that a decision noted
    again after a kill is the same one.
    """

    _id: str
    kind: str  # "published", "promoted", "rolled back", "refused" or "pruned"
    model_id: str | None  # None: refused before there was a model
    before: str | None  # model that was in service until then
    seq: int | None  # number of the activation; None where nothing was activated
    reason: str
    because: str  # why the training or the change was asked for
    actor: str  # "trainer", or who called which command
    snapshot_id: str | None
    training_id: str | None
    at_ms: int


class Tuning(TypedDict):
    """``tunings``: one search for parameters, written trial by trial.

    ``_id`` is the hash of what its trials depend on: parts of the snapshot, split, space, versions.
    """

    _id: str
    generation: str
    snapshot_id: str
    fold_version: str
    users: int  # of the snapshot, as ``applied``: by their growth a result becomes stale
    applied: int
    wanted: int  # trials
    state: str  # "running" or "done"
    inputs: dict[str, Any]
    fixed: dict[str, float]  # parameters that were given and not searched
    trials: list[dict[str, Any]]  # parameters, value, low, high, seconds, failed
    best: dict[str, Any] | None  # parameters (all of them), value, low, high, number
    created_ms: int
    updated_ms: int


class ModelReport(TypedDict):
    """``model_reports``: the page about a model's newest judgement. ``_id`` is the model id."""

    _id: str
    snapshot_id: str
    html: bytes  # zlib, below the 16 MB limit
    html_bytes: int  # of the page itself
    created_ms: int


class Pointer(TypedDict):
    """``pointers``: ``_id`` = "model"; moves only to a greater ``seq``."""

    _id: str
    seq: int
    model_id: str
    updated_ms: int
    decision: NotRequired[Decision | None]  # what moved it; noted in ``decisions`` right after


MODELS = Collection("models", (((("seq", -1),), {}),))
MODEL_CHUNKS = Collection("model_chunks", (((("model_id", 1),), {}),))
MODEL_REPORTS = Collection("model_reports")
TUNINGS = Collection("tunings", (((("generation", 1), ("updated_ms", -1)), {}),))
POINTERS = Collection("pointers")
DECISIONS = Collection("decisions", (((("at_ms", -1),), {}), ((("model_id", 1),), {})))
