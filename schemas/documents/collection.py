"""What a collection is."""

from dataclasses import dataclass, field
from typing import Any

UNIQUE = {"unique": True}


@dataclass(frozen=True)
class Collection:
    """One collection; ``indexes`` are lists of ``(field, direction)`` with options."""

    name: str
    indexes: tuple[tuple[tuple[tuple[str, Any], ...], dict[str, Any]], ...] = field(default=())
