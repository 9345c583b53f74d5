"""How lists are made: the numbers in the rules of ``recommender.ranking``."""

from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from json import dumps

RULES_VERSION = 3
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
    rail_length : most tracks in a rail
    rail_reasons : most past interactions named per track of a rail
    rail_least : tracks below which a rail is left out
    heard_last : tracks heard last, of which the strongest is the one of ``because``
    sound_share : most places of ``because`` for tracks placed by their sound, as a share, 0 to 1
    rediscover_listens : listens from which on a track that was not liked can be rediscovered
    rediscover_days : days for which it was not met then
    lately_days : days after which an artist counts as not heard lately
    discovery_pool : new tracks among which the rail ``discovery`` draws, best first
    """

    length: int = 20
    artist_cap: int = 2
    discovery_share: float = 0.1
    recent_tracks: int = 5
    known_share: float = 0.25
    fair_score: float = 0.2
    pool: int = 100
    reasons: int = 3
    rail_length: int = 10
    rail_reasons: int = 1
    rail_least: int = 4
    heard_last: int = 10
    sound_share: float = 0.2
    rediscover_listens: int = 3
    rediscover_days: int = 30
    lately_days: int = 30
    discovery_pool: int = 100

    @cached_property
    def version(self) -> str:
        """Hash of the fields and of the version of the rules, 16 hexadecimal digits."""
        return sha256(dumps([RULES_VERSION, asdict(self)], sort_keys=True).encode()).hexdigest()[:16]
