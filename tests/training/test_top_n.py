"""The best items of every user, by Spark's own step and by ours."""

import numpy as np
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from recommender.top_n import Items
from training.top_n import top_n_of_all

N = 7


def test_our_step_gives_the_lists_of_recommend_for_all_users(spark: SparkSession) -> None:
    random = np.random.default_rng(1)
    pairs = {
        (int(u), int(i))
        for u, i in zip(random.integers(0, 90, 900), random.integers(0, 60, 900), strict=True)
    }
    ratings = spark.createDataFrame(
        [(u, 10 * i, 1.0 + (u + i) % 3) for u, i in sorted(pairs)], "user int, item int, rating float"
    )
    model = ALS(implicitPrefs=True, rank=6, maxIter=2, seed=1, numUserBlocks=3, numItemBlocks=2).fit(ratings)
    items = model.itemFactors.toArrow().sort_by("id")
    item_ids = items["id"].to_numpy()
    rows = np.array(items["features"].to_pylist(), np.float32)

    found = top_n_of_all(model.userFactors, item_ids, rows, N).toArrow().sort_by("id")

    theirs = model.recommendForAllUsers(N).toArrow().sort_by("user")
    assert found["id"].to_pylist() == theirs["user"].to_pylist()
    for mine, scores, spark_list in zip(
        found["items"].to_pylist(),
        found["scores"].to_pylist(),
        theirs["recommendations"].to_pylist(),
        strict=True,
    ):
        assert mine == [one["item"] for one in spark_list]
        np.testing.assert_allclose(scores, [one["rating"] for one in spark_list], atol=1e-5)
    users = model.userFactors.toArrow().sort_by("id")
    exact, exact_scores = Items(rows).top_n(np.array(users["features"].to_pylist(), np.float32), N)
    assert found["items"].to_pylist() == item_ids[exact].tolist()
    assert found["scores"].to_pylist() == exact_scores.tolist()
