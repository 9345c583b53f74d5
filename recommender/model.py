"""Item factors as they are served, and the identity of a model.

A model is two arrays that belong together, factors and the id map, and the parameters with which a user is
folded in. Only here does a track id meet a row.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.sieve import Sieve
from schemas.errors import InvalidModel

Arrays = Mapping[str, NDArray[Any]]
ARRAY_DTYPES = {"track_ids": "<i8", "item_factors": "<f4", "fitted": "|b1", "popularity": "<f4"}
"""The arrays that make a model, with the dtype in which they are stored and hashed."""
PARAMETERS = ("alpha", "max_iter", "rank", "reg_param")
"""The parameters that belong to the identity of a model."""


@dataclass(frozen=True, eq=False)
class Model:
    """One published set of item factors. Use ``build``; arrays are read-only.

    Attributes
    ----------
    model_id : SHA-256, 64 hexadecimal digits (``model_digest``)
    track_ids : int64 [n], ascending
    factor_rows : float32 [n, rank], C-contiguous, item factors
    gram : float64 [rank, rank], Y'Y over the rows that are ``fitted``
    fitted : bool [n]; False: the factors were mapped from audio features
    reg_param, alpha : as trained, in Spark's weighting
    popularity : float32 [n], listeners in training
    """

    model_id: str
    track_ids: NDArray[np.int64]
    factor_rows: NDArray[np.float32]
    gram: NDArray[np.float64]
    fitted: NDArray[np.bool_]
    reg_param: float
    alpha: float
    popularity: NDArray[np.float32]

    @cached_property
    def sieve(self) -> Sieve:
        """The factors, ready for finding the greatest scores; made when it is first asked for, in 0.1 s."""
        return Sieve(self.factor_rows)

    @property
    def rank(self) -> int:
        """Number of factors."""
        return int(self.factor_rows.shape[1])

    @classmethod
    def build(
        cls,
        model_id: str,
        track_ids: NDArray[np.int64],
        item_factors_rows: NDArray[np.float32],
        fitted: NDArray[np.bool_],
        popularity: NDArray[np.float32],
        reg_param: float,
        alpha: float,
    ) -> "Model":
        """Return the model after checking it; compute what serving needs.

        Parameters
        ----------
        track_ids : int64 [n], ascending, each once
        item_factors_rows : float32 [n, rank], aligned with ``track_ids``
        fitted : bool [n]
        popularity : float32 [n]
        reg_param, alpha : greater than 0, finite

        Raises
        ------
        InvalidModel
            Shapes do not belong together, ids are not ascending, or a number is not finite.
        """
        arrays = canonical_arrays(track_ids, item_factors_rows, fitted, popularity)
        if not (np.isfinite([reg_param, alpha]).all() and reg_param > 0 and alpha > 0):
            raise InvalidModel(f"model {model_id}: reg_param {reg_param} and alpha {alpha} must be above 0")
        rows = arrays["item_factors"]
        learned = rows[arrays["fitted"]].astype(np.float64)
        gram = learned.T @ learned
        for array in (*arrays.values(), gram):
            array.flags.writeable = False
        return cls(
            model_id=model_id,
            track_ids=arrays["track_ids"],
            factor_rows=rows,
            gram=gram,
            fitted=arrays["fitted"],
            reg_param=float(reg_param),
            alpha=float(alpha),
            popularity=arrays["popularity"],
        )

    def rows(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each track, -1 for a track that is not in the model."""
        return rows_of(self.track_ids, track_ids)


def rows_of(ascending: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each of ``wanted`` stands in ``ascending`` (not empty), -1 where it does not."""
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return np.where(ascending[at] == wanted, at, -1)


def canonical_arrays(
    track_ids: NDArray[Any],
    item_factors_rows: NDArray[Any],
    fitted: NDArray[Any],
    popularity: NDArray[Any],
) -> dict[str, NDArray[Any]]:
    """Return fresh arrays in the dtypes of ``ARRAY_DTYPES``: what is hashed, stored and served.

    Raises
    ------
    InvalidModel
        Shapes do not belong together, ids are not ascending, or a number is not finite.
    """
    given = (track_ids, item_factors_rows, fitted, popularity)
    arrays = {
        name: np.array(array, dtype=dtype, order="C")
        for (name, dtype), array in zip(ARRAY_DTYPES.items(), given, strict=True)
    }
    _check(arrays)
    return arrays


def model_digest(arrays: Arrays, parameters: Mapping[str, Any]) -> str:
    """Return the model id: SHA-256 over names, dtypes, shapes and bytes of the arrays, and the parameters.

    Parameters
    ----------
    arrays : as ``canonical_arrays`` makes them (other dtypes are converted first)
    parameters : at least ``PARAMETERS``; others do not count

    Raises
    ------
    InvalidModel
        An array or a parameter is missing.
    """
    missing = [name for name in ARRAY_DTYPES if name not in arrays]
    missing += [name for name in PARAMETERS if name not in parameters]
    if missing:
        raise InvalidModel(f"a model needs {', '.join(missing)}")
    digest = sha256(b"segue model 1\n")
    for name, dtype in sorted(ARRAY_DTYPES.items()):
        array = np.ascontiguousarray(arrays[name], dtype=dtype)
        digest.update(f"{name} {dtype} {list(array.shape)}\n".encode())
        digest.update(array.data)
    chosen = {
        name: int(parameters[name]) if name in ("max_iter", "rank") else float(parameters[name])
        for name in PARAMETERS
    }
    digest.update(json.dumps(chosen, sort_keys=True).encode())
    return digest.hexdigest()


def _check(arrays: Arrays) -> None:
    track_ids, rows = arrays["track_ids"], arrays["item_factors"]
    n = len(track_ids)
    if track_ids.ndim != 1 or n == 0:
        raise InvalidModel(f"track_ids of shape {track_ids.shape}: a model needs at least one track")
    if rows.ndim != 2 or rows.shape[0] != n or rows.shape[1] == 0:
        raise InvalidModel(f"item factors of shape {rows.shape} do not belong to {n} tracks")
    for name in ("fitted", "popularity"):
        if arrays[name].shape != (n,):
            raise InvalidModel(f"{name} of shape {arrays[name].shape} does not belong to {n} tracks")
    if n > 1 and not (track_ids[1:] > track_ids[:-1]).all():
        raise InvalidModel("track_ids are not ascending, or a track stands twice")
    for name in ("item_factors", "popularity"):
        bad = int(arrays[name].size - np.isfinite(arrays[name]).sum())
        if bad:
            raise InvalidModel(f"{bad} numbers of {name} are not finite")
