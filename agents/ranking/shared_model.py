"""A model in memory that two processes see: one copy of the arrays, whoever reads them."""

import mmap
import os
import tempfile
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.model import Model

_ARRAYS = ("track_ids", "factor_rows", "gram", "fitted", "popularity")
_ALIGNED = 64


class Place(NamedTuple):
    """Where an array stands in the shared memory."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


class SharedModel(NamedTuple):
    """All of a model but its arrays."""

    model_id: str
    reg_param: float
    alpha: float
    places: tuple[Place, ...]
    size: int


def share(model: Model) -> tuple[SharedModel, int]:
    """Copy a model's arrays into memory without a name; return what is there, and its file descriptor.

    The memory is free again when the descriptor and every mapping are gone, however that comes.
    """
    places, size = [], 0
    for name in _ARRAYS:
        array = getattr(model, name)
        places.append(Place(name, array.dtype.str, array.shape, size))
        size += -(-array.nbytes // _ALIGNED) * _ALIGNED
    shared = SharedModel(model.model_id, model.reg_param, model.alpha, tuple(places), max(size, 1))
    descriptor = _memory()
    os.truncate(descriptor, shared.size)
    with mmap.mmap(descriptor, shared.size) as memory:
        for place in places:
            data = np.ascontiguousarray(getattr(model, place.name)).tobytes()
            memory[place.offset : place.offset + len(data)] = data
    return shared, descriptor


def mapped(shared: SharedModel, descriptor: int) -> Model:
    """Return the model whose arrays are read from the shared memory; the descriptor stays the caller's."""
    memory = mmap.mmap(descriptor, shared.size, prot=mmap.PROT_READ)
    arrays: dict[str, Any] = {place.name: _array(memory, place) for place in shared.places}
    return Model(model_id=shared.model_id, reg_param=shared.reg_param, alpha=shared.alpha, **arrays)


def _array(memory: mmap.mmap, place: Place) -> NDArray[Any]:
    flat: NDArray[Any] = np.frombuffer(memory, place.dtype, prod(place.shape), place.offset)
    return flat.reshape(place.shape)


def _memory() -> int:
    """Return a descriptor of memory, where the system has such; else of a file without a name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("segue-model")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
