"""The error tree. Raised low, handled at an edge; a message says what was found, where, and what to do.

::

    SegueError
    ├── MissingRequirement   Java, a port, disk or memory that a program needs   -> command line, exit 1
    ├── InvalidInput         a file or argument that cannot be used              -> command line, exit 1
    │   └── UnreadableAudio  one clip that cannot be used                        -> counted, the run goes on
    ├── MalformedEvent       bytes that are not an event                         -> HTTP 400 or dead letter
    ├── Unavailable          a service that did not answer in time               -> HTTP 503 or exit 1
    │   ├── LogUnavailable         Kafka
    │   │   └── LogBroken          a producer that cannot go on                -> the program ends
    │   ├── DocumentsUnavailable   MongoDB
    │   └── SparkUnavailable       Spark, or what it needs: memory, a disk, a store
    ├── Stalled              a worker that stands still without a reason         -> it ends, exit 75
    ├── RankingEnded         one of a worker's ranking processes is gone            -> the worker ends
    ├── LogMismatch          the log is not the one that the state was made from -> the program ends
    ├── HoleInLog            a record that does not follow the position          -> the partition is restored
    ├── InvalidModel         a model that is missing, corrupt or refused         -> the old model stays
    ├── ModelNotHeld         a model that was let go before its last list        -> ranked with the newer one
    └── InvalidSnapshot      a part or manifest that is missing or corrupt       -> fold from the beginning
"""


class SegueError(Exception):
    """Anything that Segue refuses or cannot do."""


class MissingRequirement(SegueError):
    """The machine lacks something; the message names the fix."""


class InvalidInput(SegueError):
    """A file, folder or argument cannot be used; the message says why."""


class UnreadableAudio(InvalidInput):
    """One clip cannot be used: too short, silent, undecodable, or not of the expected length."""


class MalformedEvent(SegueError, ValueError):
    """Bytes that do not decode to a valid event."""


class Unavailable(SegueError):
    """A service did not answer within its deadline."""


class LogUnavailable(Unavailable):
    """Kafka did not acknowledge or answer in time."""


class LogBroken(LogUnavailable):
    """The producer cannot go on; a new one can."""


class DocumentsUnavailable(Unavailable):
    """MongoDB did not answer in time."""


class SparkUnavailable(Unavailable):
    """Spark, or something that it needs, failed: its virtual machine, a worker, memory, a disk, a store."""


class RankingEnded(SegueError):
    """A process that ranks for a worker is gone; the next worker starts others."""


class ModelNotHeld(SegueError):
    """What ranks for a worker has let go of a model."""


class Stalled(SegueError):
    """A worker stood still although nothing that it needs was away."""


class LogMismatch(SegueError):
    """The log was recreated, or its number of partitions changed."""


class HoleInLog(SegueError):
    """A record was delivered that is not the one at the position."""


class InvalidModel(SegueError):
    """A model is missing, corrupt, not finite, or does not belong to this log."""


class InvalidSnapshot(SegueError):
    """A snapshot part or manifest is missing, corrupt, or of another fold version."""
