"""Lists for everybody, and how far their making is."""

from typing import TypedDict

from schemas.documents.collection import Collection


class ListDocument(TypedDict):
    """``lists``: a list of each user, made for everybody after a training. ``_id`` is the user id.

    It reflects a snapshot: ``offset`` is the last one below the cut of its partition. So it is compared
    with a list of topic ``recommendations`` like any other: the greater offset is newer. In here, of two at
    one offset the one of the greater ``seq`` stays.
    """

    _id: str
    generation: str
    partition: int
    offset: int
    seq: int  # of the pointer when its model was put into service
    value: bytes  # schemas.recommendations.Recommendations as JSON


class ListBuild(TypedDict):
    """``list_builds``: the making of everybody's lists with one model. ``_id`` is the model id."""

    _id: str
    seq: int  # of the pointer: a model that is put into service again is built again
    generation: str
    snapshot_id: str
    offsets: dict[str, int]  # partition -> offset that its lists name
    blocks: int
    state: str  # "running" or "done"; a newer build takes the place of one that is running
    updated_ms: int


class ListBlock(TypedDict):
    """``list_blocks``: the lists of one block of users are written. ``_id`` = build:partition/block.

    A block is a row group of a part.
    """

    _id: str
    build: str  # model id:seq:snapshot id
    partition: int
    block: int
    written: int
    left_out: int  # users who have no history any more, or never had one


LISTS = Collection("lists")
LIST_BUILDS = Collection("list_builds", (((("seq", -1),), {}),))
LIST_BLOCKS = Collection("list_blocks", (((("build", 1),), {}),))
