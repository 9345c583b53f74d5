"""What Spark's Python workers run. It imports little: each worker starts with it."""

import sys
from collections.abc import Iterable, Iterator

from etl.pool import ClipFile, Outcome, extract_all


def extract_task(files: Iterable[ClipFile]) -> Iterator[Outcome]:
    """Extract files in a process of this worker, as everywhere: with deadline and memory limit."""
    # the program of this worker is Spark's; without this, multiprocessing would import all of Spark into
    # each process that decodes, which takes longer than decoding
    main = sys.modules["__main__"]
    main.__spec__ = main.__file__ = None
    return extract_all(files, processes=1)
