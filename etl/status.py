"""Counts of what the catalogue holds."""

from dataclasses import dataclass

from connections.documents import Database, answered
from schemas.documents import CATALOGUE, FEATURES, REJECTED_TRACKS, TRACKS


@dataclass
class CatalogueStatus:
    """Counts of documents; ``version`` and ``source`` are None before the first load."""

    tracks: int
    audio: int
    features: int
    rejected: int
    version: str | None
    source: str | None


async def catalogue_status(database: Database) -> CatalogueStatus:
    """Return the counts."""

    async def count(name: str, where: dict[str, object]) -> int:
        return int(await answered(database[name].count_documents(where), f"counting {name}"))

    state = await answered(database[CATALOGUE.name].find_one({}), "reading the catalogue")
    return CatalogueStatus(
        tracks=await count(TRACKS.name, {}),
        audio=await count(TRACKS.name, {"audio": {"$ne": None}}),
        features=await count(FEATURES.name, {}),
        rejected=await count(REJECTED_TRACKS.name, {}),
        version=state["version"] if state else None,
        source=state["source"] if state else None,
    )
