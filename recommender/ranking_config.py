"""How lists are made: the numbers in the rules of ``recommender.ranking``."""

from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from json import dumps

RULES_VERSION = 1
"""Changes with every change of the rules in this package that can change a list."""


@dataclass(frozen=True)
class RankingConfig:
    """How lists are made.

    Attributes
    ----------
    length : tracks in a list
    artist_cap : most tracks of one artist in twenty
    discovery_share : share of the places for discovery, 0 to 1
    recent_tracks : tracks played last that do not come again
    known_share : most places for tracks that the user knows, as a share, 0 to 1
    fair_score : a new track goes before more known ones from this share of the user's best score on
    pool : new tracks among which discovery draws, best first
    reasons : most past interactions named per track
    """

    length: int = 20
    artist_cap: int = 2
    discovery_share: float = 0.1
    recent_tracks: int = 5
    known_share: float = 0.25
    fair_score: float = 0.2
    pool: int = 200
    reasons: int = 3

    @cached_property
    def version(self) -> str:
        """Hash of the fields and of the version of the rules, 16 hexadecimal digits."""
        return sha256(dumps([RULES_VERSION, asdict(self)], sort_keys=True).encode()).hexdigest()[:16]
