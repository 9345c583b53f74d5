"""The page about a model's judgement, stored beside the model and removed with it."""

import asyncio
import time
import zlib

from connections.documents import Database, answered
from connections.model_chunks import majority, replace
from schemas.documents import MODEL_REPORTS
from schemas.errors import InvalidInput

MOST_BYTES = 12 * 2**20
"""Of a stored page, compressed: MongoDB takes 16 MB."""


async def save_report(database: Database, model_id: str, snapshot_id: str, page: str) -> None:
    """Store a page, in place of an older one of the same model. Can be repeated.

    Raises
    ------
    InvalidInput
        It is too large even when compressed.
    DocumentsUnavailable
        MongoDB did not answer.
    """
    plain = page.encode()
    data = await asyncio.to_thread(zlib.compress, plain, 6)
    if len(data) > MOST_BYTES:
        raise InvalidInput(
            f"the report of model {model_id[:12]} takes {len(data)} bytes compressed; at most {MOST_BYTES} "
            "are stored"
        )
    document = {
        "_id": model_id,
        "snapshot_id": snapshot_id,
        "html": data,
        "html_bytes": len(plain),
        "created_ms": time.time_ns() // 1_000_000,
    }
    await replace(database, MODEL_REPORTS, document)


async def load_report(database: Database, model_id: str) -> str:
    """Return the newest page about a model.

    Raises
    ------
    InvalidInput
        None is stored, or it is damaged.
    DocumentsUnavailable
        MongoDB did not answer.
    """
    reports = majority(database, MODEL_REPORTS)
    found = await answered(reports.find_one({"_id": model_id}), f"reading the report of {model_id}")
    if found is None:
        raise InvalidInput(
            f"no report is stored with model {model_id[:12]}: run `segue evaluate` while it is in service"
        )
    try:
        return zlib.decompress(found["html"]).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"the report of model {model_id[:12]} is damaged ({error}): run `segue evaluate`"
        ) from error
