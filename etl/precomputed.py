"""Load FMA's own features instead of extracting them: a first run on 106,574 tracks needs no audio.

They were computed by FMA on whole tracks and at their own sampling rates, so they are a definition of their
own, with a standardisation of its own, and are never mixed with vectors that were extracted here.
"""

import time
from collections import Counter
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from connections.documents import Database
from connections.feature_store import Standardisation, newest_scaler
from etl import load, normalise
from etl.batches import ahead
from etl.precomputed_table import NAMES, Layout, Rows, find_features_file, read_layout, read_rows
from etl.progress import meter
from schemas.documents import PRECOMPUTED, Features

VERSION = f"{PRECOMPUTED}fma-mean-std-v1"


@dataclass
class PrecomputedReport:
    """What became of the rows: each was loaded, rejected, or of a track that is not in the catalogue.

    Attributes
    ----------
    changed : documents that are new or changed
    without_track : rows of tracks that are not in the catalogue
    without_row : tracks of the catalogue that have no usable row
    rejected : reason against each row, by track id
    """

    rows: int = 0
    loaded: int = 0
    changed: int = 0
    without_track: int = 0
    without_row: int = 0
    rejected: dict[str, str] = field(default_factory=dict)
    scaler_id: str | None = None
    seconds: float = 0.0

    @property
    def reasons(self) -> dict[str, int]:
        """Number of rejected rows by kind of reason (what stands before the colon)."""
        return dict(Counter(reason.split(":")[0] for reason in self.rejected.values()).most_common())


async def load_precomputed(database: Database, metadata: Path, wanted: Collection[int]) -> PrecomputedReport:
    """Write the features of the tracks in ``wanted``, in the place of any that they had.

    The file is read twice the first time: once to fit the standardisation on all usable rows, once to write.
    So the documents do not depend on where an earlier run was interrupted.

    Parameters
    ----------
    metadata : folder with `features.csv` or `features.csv.gz`, or the file
    wanted : track ids of the catalogue

    Raises
    ------
    InvalidInput
        There is no such file, its header is not FMA's, or it is damaged.
    """
    started = time.monotonic()
    layout = read_layout(find_features_file(metadata))
    wanted = frozenset(wanted)
    scaler = await newest_scaler(database, VERSION) or await _fit(database, layout, wanted)
    report = PrecomputedReport()
    with meter("features", None) as progress:
        async with aclosing(ahead(read_rows(layout, wanted))) as blocks:
            async for rows in blocks:
                await _write(database, rows, scaler, report)
                progress.advance(rows.count)
    report.without_row = len(wanted) - report.loaded
    if scaler is not None:
        await normalise.carry_over(database, scaler)  # of tracks that the file no longer has
        report.scaler_id = scaler.scaler_id
    report.seconds = round(time.monotonic() - started, 2)
    return report


async def _fit(database: Database, layout: Layout, wanted: Collection[int]) -> Standardisation | None:
    """Fit and store the standardisation of all usable rows; None without any."""
    moments = normalise.Moments()
    with meter("fitting", None) as progress:
        async with aclosing(ahead(read_rows(layout, wanted))) as blocks:
            async for rows in blocks:
                moments.add(rows.raw)
                progress.advance(rows.count)
    if not moments.count:
        return None
    return await normalise.store(database, moments.standardisation(VERSION, 1))


async def _write(
    database: Database, rows: Rows, scaler: Standardisation | None, report: PrecomputedReport
) -> None:
    report.rows += rows.count
    report.without_track += rows.foreign
    report.rejected.update(rows.refused)
    if scaler is None:
        return  # there is no usable row
    documents = [
        Features(
            _id=track_id,
            version=VERSION,
            names=list(NAMES),
            raw=raw,
            scaled=scaled,
            scaler_id=scaler.scaler_id,
        )
        for track_id, raw, scaled in zip(
            rows.track_ids.tolist(), rows.raw.tolist(), scaler.apply(rows.raw).tolist(), strict=True
        )
    ]
    report.loaded += len(documents)
    report.changed += await load.write_features(database, documents)
