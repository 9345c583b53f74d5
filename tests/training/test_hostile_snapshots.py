"""F22: what would break Spark's ALS is refused in one sentence or trained on cleanly."""

import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from connections.snapshot_store import SnapshotStore
from recommender.encoding import EMPTY
from recommender.history import apply
from recommender.model import model_digest
from schemas.errors import InvalidModel, InvalidSnapshot
from schemas.settings import Settings
from schemas.snapshots import Manifest
from tests.training.conftest import WriteSnapshot
from tests.training.listeners import Histories, imported, play, tasteful, user
from tests.training.test_learning import CONFIG, NO_FEATURES, Learner
from training.configuration import TrainingConfig
from training.inputs import part_uris
from training.learning import learn
from training.parts import part_batches
from training.session import damaged_part

SMALL = TrainingConfig(rank=4, reg_param=0.3, alpha=1.0, max_iter=2, seed=7, blocks=1)
PARAMETERS = {"rank": 8, "reg_param": 0.3, "alpha": 1.0, "max_iter": 6}
START_MS = 1_700_000_000_000


@pytest.fixture
def learner(spark: SparkSession, tmp_path: Path, write_snapshot: WriteSnapshot) -> Learner:
    return Learner(spark, Settings(data_dir=tmp_path), write_snapshot)


def counted(users: int, tracks: int, count: int) -> Histories:
    """Return users who all listened to the same tracks equally often."""
    history = EMPTY
    for track in range(1, tracks + 1):
        history = apply(history, imported(track, count))
    return {user(number): history for number in range(users)}


def test_one_user_is_too_few(learner: Learner) -> None:
    with pytest.raises(InvalidModel, match=r"1 users with \d+ tracks are too few to learn from"):
        learner(tasteful(1))


def test_users_who_say_nothing_are_too_few_however_many(learner: Learner) -> None:
    skipped = apply(EMPTY, play(1, START_MS, heard=0.1))
    silent = {user(number): skipped if number % 2 else EMPTY for number in range(30)}
    with pytest.raises(InvalidModel, match="0 users with 0 tracks are too few to learn from"):
        learner(silent, SMALL)


def test_equal_strengths_of_everybody_are_trained_on_and_judged_a_tie(learner: Learner) -> None:
    learned = learner(counted(30, 12, 3), SMALL)
    assert np.isfinite(learned.arrays["item_factors"]).all()
    # each user hides two tracks and has heard all others, so nobody can rank them wrongly
    assert learned.evaluation["model"]["ndcg_at_10"]["value"] == 1.0
    assert learned.evaluation["ndcg_gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert learned.reasons == []


def test_counts_beyond_belief_are_cut_and_trained_on(learner: Learner) -> None:
    histories = tasteful()
    for number in range(5):
        name = user(number)
        histories[name] = apply(histories[name], imported(1 + number, 2**32 - 1))
    cut = TrainingConfig(rank=8, reg_param=0.3, alpha=1.0, max_iter=6, seed=7, blocks=1, max_strength=5.0)
    learned = learner(histories, cut)
    assert np.isfinite(learned.arrays["item_factors"]).all()
    assert learned.evaluation["outliers"]["kept"]["clipped"] == 5


def test_ids_beyond_32_bits_are_numbered_and_come_back(learner: Learner) -> None:
    far = 2**53 - 100
    histories: Histories = {}
    for name, _ in tasteful(20).items():
        history = EMPTY
        for track in np.random.default_rng(int(name[:8], 16)).choice(30, 10, replace=False):
            history = apply(history, imported(far + int(track), 3))
        histories[name] = history
    learned = learner(histories, SMALL)
    assert learned.arrays["track_ids"].min() >= far
    assert len(learned.arrays["track_ids"]) == 30


def test_the_order_of_users_and_the_parts_they_lie_in_change_no_bit(learner: Learner, tmp_path: Path) -> None:
    histories = tasteful()
    expected = model_digest(learner(histories).arrays, PARAMETERS)
    backwards = dict(reversed(list(histories.items())))
    assert model_digest(learner(backwards).arrays, PARAMETERS) == expected
    one = tmp_path / "all.parquet"
    pq.write_table(pa.table({"user_id": list(backwards), "history": list(backwards.values())}), one)
    learned = learn(learner.spark, [one.as_uri()], CONFIG, NO_FEATURES, None, lambda _: None)
    assert model_digest(learned.arrays, PARAMETERS) == expected


@pytest.fixture
def snapshot(settings_of: Settings, write_snapshot: WriteSnapshot) -> tuple[SnapshotStore, Manifest]:
    manifest = write_snapshot(settings_of, "g", tasteful())
    return SnapshotStore(settings_of.snapshot_location), manifest


@pytest.fixture
def settings_of(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def first_part(tmp_path: Path) -> Path:
    return min(tmp_path.rglob("part-*.parquet"))


def test_a_part_that_is_missing_is_named(snapshot: tuple[SnapshotStore, Manifest], tmp_path: Path) -> None:
    first_part(tmp_path).unlink()
    with pytest.raises(InvalidSnapshot, match=r"part-00\.parquet"):
        part_uris(*snapshot)


def test_a_part_of_another_fold_than_the_manifest_names_is_refused(
    snapshot: tuple[SnapshotStore, Manifest],
) -> None:
    store, manifest = snapshot
    parts = [msgspec.structs.replace(part, digest="0" * 64) for part in manifest.parts]
    with pytest.raises(InvalidSnapshot, match=r"part 0 of snapshot s-0001 is not the one that its manifest"):
        part_uris(store, msgspec.structs.replace(manifest, parts=parts))


def test_a_part_with_other_content_than_its_header_names_ends_the_training_in_one_sentence(
    snapshot: tuple[SnapshotStore, Manifest], tmp_path: Path, spark: SparkSession
) -> None:
    path = next(path for path in sorted(tmp_path.rglob("part-*.parquet")) if pq.read_table(path).num_rows)
    table = pq.read_table(path)
    histories = table["history"].to_pylist()
    histories[0] = EMPTY
    spoiled = pa.table([table["user_id"], pa.array(histories, pa.binary())], schema=table.schema)
    pq.write_table(spoiled, path)
    uris = part_uris(*snapshot)  # the header is the right one
    with pytest.raises(PySparkException) as raised:
        learn(spark, uris, SMALL, NO_FEATURES, None, lambda _: None)
    sentence = damaged_part(raised.value)
    assert sentence is not None
    assert re.fullmatch(rf"{path.as_uri()} does not hold what .*; run `segue snapshot`", sentence)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidSnapshot, match="cannot be read"):
        list(part_batches(path.as_uri()))


@pytest.fixture
def served_folder(tmp_path: Path) -> Iterator[str]:
    """Serve the folder of the test by HTTP on loopback; yield the address as pyarrow opens it."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"fsspec+http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_parts_in_another_file_system_give_the_same_model(
    learner: Learner, tmp_path: Path, served_folder: str
) -> None:
    """Spark knows nothing of this address: pyarrow opens it in Spark's workers."""
    local = learner(tasteful())
    files = sorted(path for path in tmp_path.rglob("part-*.parquet") if pq.read_table(path).num_rows)
    uris = [f"{served_folder}/{path.relative_to(tmp_path)}" for path in files]
    remote = learn(learner.spark, uris, CONFIG, NO_FEATURES, None, lambda _: None)
    assert model_digest(remote.arrays, PARAMETERS) == model_digest(local.arrays, PARAMETERS)


def test_a_snapshot_is_kept_in_a_file_system_that_is_no_folder(write_snapshot: WriteSnapshot) -> None:
    settings = Settings(snapshot_uri="fsspec+memory://parts/here")
    manifest = write_snapshot(settings, "g", tasteful())
    store = SnapshotStore(settings.snapshot_location)
    assert [one.snapshot_id for one in store.manifests("g")] == ["s-0001"]
    batches = [batch for uri in part_uris(store, manifest) for batch in part_batches(uri)]
    users = [name for batch in batches for name in batch["user_id"].to_pylist()]
    assert sorted(users) == sorted(tasteful())
