"""Read FMA's table of features, `features.csv`: 518 numbers a row, of which 148 are taken.

Each of 74 descriptors comes with seven statistics over the frames of the whole track. Taken are mean and
standard deviation: the usual summary of a track by one Gaussian (Tzanetakis and Cook 2002). Skewness,
kurtosis, minimum and maximum rest on few frames and have heavy tails, which a linear map to factors
follows; the median says nearly what the mean says. And 148 numbers are 29 % of the room of 518.
"""

import csv
import gzip
import zlib
from collections.abc import Collection, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from schemas.errors import InvalidInput

DESCRIPTORS = {
    "chroma_cens": 12, "chroma_cqt": 12, "chroma_stft": 12, "mfcc": 20, "rmse": 1, "spectral_bandwidth": 1,
    "spectral_centroid": 1, "spectral_contrast": 7, "spectral_rolloff": 1, "tonnetz": 6, "zcr": 1,
}  # fmt: skip
STATISTICS = ("mean", "std")
COLUMNS = tuple(
    (descriptor, statistic, f"{number:02d}")
    for descriptor, size in DESCRIPTORS.items()
    for statistic in STATISTICS
    for number in range(1, size + 1)
)
NAMES = tuple(f"{descriptor}_{number}_{statistic}" for descriptor, statistic, number in COLUMNS)
_LOUDNESS = NAMES.index("rmse_01_mean")
_HEAD = ("feature", "statistics", "number", "track_id")
_BLOCK_BYTES = 2 * 1024**2  # about 230 rows
_MAX_ID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in the file what stands.

    Attributes
    ----------
    path : the file, `.csv` or `.csv.gz`
    columns : number of columns
    skip : header rows
    at : column of each of ``NAMES``
    """

    path: Path
    columns: int
    skip: int
    at: tuple[int, ...]


@dataclass
class Rows:
    """Some rows of the table.

    Attributes
    ----------
    count : rows read
    foreign : of them, of tracks that are not wanted
    track_ids : int64 [n]
    raw : float64 [n, 148], finite, in the order of ``NAMES``
    refused : reason against each other row, by what stands in its first column
    """

    count: int = 0
    foreign: int = 0
    track_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    raw: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, len(NAMES))))
    refused: list[tuple[str, str]] = field(default_factory=list)


def find_features_file(metadata: Path) -> Path:
    """Return `features.csv` or `features.csv.gz` of a folder, or the file itself.

    Raises
    ------
    InvalidInput
        There is none.
    """
    if metadata.is_file():
        return metadata
    for name in ("features.csv", "features.csv.gz"):
        if (metadata / name).is_file():
            return metadata / name
    raise InvalidInput(
        f"{metadata} holds neither features.csv nor features.csv.gz: it is part of fma_metadata.zip "
        "(`segue data get metadata`)"
    )


def read_layout(path: Path) -> Layout:
    """Find the columns by the header rows.

    Raises
    ------
    InvalidInput
        The file does not begin as FMA's does, or lacks a column.
    """
    try:
        with _open(path) as file:
            rows = [row for _, row in zip(_HEAD, csv.reader(file), strict=False)]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    for number, (row, wanted) in enumerate(zip(rows, _HEAD, strict=False), start=1):
        begins = row[0] if row else ""
        if begins != wanted and not (wanted == "track_id" and begins.isdigit()):
            raise InvalidInput(
                f"{path} is not FMA's features.csv: line {number} begins with {begins[:40]!r}, "
                f"not with {wanted!r}"
            )
    if len(rows) < len(_HEAD):
        raise InvalidInput(f"{path} is not FMA's features.csv: it has {len(rows)} lines")
    at = {column: place for place, column in enumerate(zip(*rows[:3], strict=False))}
    for column in COLUMNS:
        if column not in at:
            raise InvalidInput(
                f"column {column} is missing in {path}, which has {len(rows[0]) - 1} columns of features"
            )
    skip = 4 if rows[3][0] == "track_id" else 3
    return Layout(path, len(rows[0]), skip, tuple(at[column] for column in COLUMNS))


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8", newline=""))
    return path.open(encoding="utf-8", newline="")


def read_rows(layout: Layout, wanted: Collection[int]) -> Generator[Rows, None, None]:
    """Yield the rows block by block; memory does not grow with the file.

    Raises
    ------
    InvalidInput
        The file ends in the middle of its compressed data, or cannot be read.
    """
    wanted = wanted if isinstance(wanted, (set, frozenset, dict, range)) else set(wanted)
    seen: set[int] = set()
    broken: list[tuple[str, str]] = []
    try:
        with _reader(layout, broken) as reader:
            for block in reader:
                rows = _checked(block, wanted, seen)
                rows.refused += broken
                rows.count += len(broken)
                broken.clear()
                yield rows
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidInput(f"{layout.path} cannot be read further: {error}") from error
    if broken:
        yield Rows(count=len(broken), refused=list(broken))


def _reader(layout: Layout, broken: list[tuple[str, str]]) -> Any:
    names = [str(place) for place in range(layout.columns)]

    def invalid(row: Any) -> str:
        key = row.text.partition(",")[0][:40]
        broken.append(
            (key, f"wrong number of columns: {row.actual_columns} instead of {row.expected_columns}")
        )
        return "skip"

    taken = ["0", *(str(place) for place in layout.at)]
    return pa_csv.open_csv(
        layout.path,
        read_options=pa_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK_BYTES, skip_rows=layout.skip, column_names=names
        ),
        parse_options=pa_csv.ParseOptions(quote_char=False, invalid_row_handler=invalid),
        # as text first: one value that is no number must cost its row, not the run
        convert_options=pa_csv.ConvertOptions(
            include_columns=taken,
            column_types={**dict.fromkeys(taken, pa.string()), "0": pa.binary()},
            strings_can_be_null=True,
            check_utf8=False,
        ),
    )


def _checked(block: Any, wanted: Collection[int], seen: set[int]) -> Rows:
    """Return the usable rows of a block as numbers."""
    rows = Rows(count=block.num_rows)
    keys = [_decoded(key) for key in block.column(0).to_pylist()]
    ids = np.zeros(len(keys), np.int64)
    for place, key in enumerate(keys):
        found = _track_id(key)
        if found is None:
            rows.refused.append((str(key)[:40], "no track id: the first column is none of FMA's numbers"))
        elif found not in wanted:
            rows.foreign += 1
        elif found in seen:
            rows.refused.append((f"{found}-again", "repeated id: the first row counts"))
        else:
            seen.add(found)
            ids[place] = found
    mine = np.flatnonzero(ids)
    block, ids = block.take(pa.array(mine)), ids[mine]
    raw, reasons = _numbers(block)
    usable = np.ones(len(ids), bool)
    for place, reason in reasons.items():
        usable[place] = False
        rows.refused.append((str(ids[place]), reason))
    rows.track_ids, rows.raw = ids[usable], raw[usable]
    return rows


def _track_id(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) if 1 <= int(text) <= _MAX_ID else None


def _numbers(block: Any) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Return float64 [n, 148] and the reason against each row that is not usable."""
    raw = np.empty((block.num_rows, len(NAMES)))
    reasons: dict[int, str] = {}
    for column, name in enumerate(NAMES):
        texts = block.column(column + 1)
        try:
            raw[:, column] = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            for row, text in enumerate(map(_decoded, texts.cast(pa.binary()).to_pylist())):
                raw[row, column] = _number(text)
                if text is not None and np.isnan(raw[row, column]):
                    reasons.setdefault(row, f"not a number: {name} holds {text[:40]!r}")
    for row in np.flatnonzero(~np.isfinite(raw).all(axis=1)).tolist():
        column = int(np.flatnonzero(~np.isfinite(raw[row]))[0])
        kind = "not finite" if np.isinf(raw[row, column]) else "missing value"
        reasons.setdefault(row, f"{kind}: {NAMES[column]}")
    for row in np.flatnonzero(raw[:, _LOUDNESS] == 0).tolist():
        reasons.setdefault(row, "silent: its loudness is 0 throughout")
    return raw, reasons


def _decoded(cell: bytes | None) -> str | None:
    return None if cell is None else cell.decode(errors="replace")


def _number(text: str | None) -> float:
    try:
        return float("nan" if text is None else text)
    except ValueError:
        return float("nan")
