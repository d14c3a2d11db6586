"""Two experts as one score matrix: a result that is good on the seen classes, another on the unseen
ones, as COSMO has them (Atzmon and Chechik, CVPR 2019, sec. 3).

COSMO divides p(j) = p(j|S) p(S) + p(j|U) p(U): the expert of the seen classes gives p(j|S), that of
the unseen ones p(j|U), and a gate that reads both gives p(S). Here both are put into one (image,
class) matrix of log-probabilities (the numbering is ours)::

    (1)  p_j = p_u(S) p_s(j) / p_s(S)   for seen j,   p_u(S) = sum over seen i of p_u(i)
    (2)  p_j = p_u(j)                   for unseen j

with p_s and p_u the softmax outputs of the experts of the seen and of the unseen classes over all
classes. Within either group the matrix is that group's expert, and over all classes its unseen
probabilities are those of the unseen expert: all that the gate and the smoothing of the rebalancing
``cosmo`` (:mod:`zslpipe.scores.kinds`) read of two experts. As it is, without a gate, the expert of
the unseen classes decides between the groups.
"""

import numpy as np


def joined_experts(of_seen: np.ndarray, of_unseen: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the log of eq. 1 and 2, (image, class) float64, from the log-probabilities of the
    experts of the seen and of the unseen classes over all classes; ``seen`` (class,) bool.
    """
    result: np.ndarray = of_unseen.astype(np.float64)
    within = of_seen[:, seen] - np.logaddexp.reduce(of_seen[:, seen], axis=1, keepdims=True)
    share = np.logaddexp.reduce(of_unseen[:, seen], axis=1, keepdims=True)
    result[:, seen] = share + within
    return result
