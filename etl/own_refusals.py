"""Why files of own music are not used: what MongoDB records of it."""

import re
from collections.abc import Mapping, Sequence

from connections.documents import Database, answered
from etl import load
from etl.own_files import is_below
from etl.own_identity import SOURCE
from schemas.documents import REJECTED_TRACKS, RefusedFile


async def write_refusals(
    database: Database,
    root: str,
    reasons: Mapping[str, str],
    files: Mapping[str, RefusedFile],
    unseen: Sequence[str],
) -> None:
    """Record why files below ``root`` are not used, by path; what is recorded of other folders stays.

    Parameters
    ----------
    files : those among them that were decoded in vain
    unseen : paths below which nothing is known: what is recorded of them stays
    """
    mine = {"_id": {"$regex": f"^{re.escape(SOURCE)}:"}}
    cursor = database[REJECTED_TRACKS.name].find(mine, {"file": 1})
    outdated = []
    for each in await answered(cursor.to_list(None), "reading rejections"):
        path = each["_id"].removeprefix(f"{SOURCE}:")
        stays = path in reasons and ("file" in each) == (path in files)
        if is_below(path, root) and not stays and not any(is_below(path, other) for other in unseen):
            outdated.append(each["_id"])
    removal = database[REJECTED_TRACKS.name].delete_many({"_id": {"$in": outdated}})
    await answered(removal, "removing old rejections")
    await load.write_rejected(database, SOURCE, reasons, complete=False, files=files)
