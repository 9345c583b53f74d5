"""EASE: a linear model with a closed form, the tuned baseline that is hard to beat on such data."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from training.judgement import Scores


def ease_scores(matrix: sparse.csr_matrix, penalty: float, rows: NDArray[np.int64]) -> Scores:
    """Return EASE's scores of some users.

    With X binary, P = (X'X + penalty I)^-1 and B_ij = -P_ij / P_jj off the diagonal, 0 on it, a user's
    scores are x'B. Source: Steck (2019), eq. 8. Where there are fewer users than items, P comes from
    K = XX' instead (Woodbury), exactly: XP = (K + penalty I)^-1 X.

    Parameters
    ----------
    matrix : [users, items], sparse; what is above 0 counts as 1
    penalty : above 0
    rows : int64 [judged], the users to be scored
    """
    binary = (matrix > 0).astype(np.float64)
    users, items = binary.shape
    dense = binary.toarray()
    if users < items:
        gram = (binary @ binary.T).toarray()
        gram.flat[:: users + 1] += penalty
        reached = linalg.solve(gram, dense, assume_a="pos")  # XP
        diagonal = (1.0 - np.einsum("ui,ui->i", dense, reached)) / penalty
    else:
        gram = (binary.T @ binary).toarray()
        gram.flat[:: items + 1] += penalty
        inverse = linalg.inv(gram)
        reached, diagonal = dense @ inverse, np.diag(inverse)
    found = (dense[rows] - reached[rows] / diagonal).astype(np.float32)

    def scores(start: int, end: int) -> NDArray[np.float32]:
        return np.array(found[start:end], np.float32)

    return scores
