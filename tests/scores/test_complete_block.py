import itertools

import numpy as np

from zslpipe.scores.complete_block import complete_block


def by_hand(present):
    """Every set of three or more datasets, one by one."""
    every = sorted(set().union(*present.values()))
    found = []
    for count in range(3, len(every) + 1):
        for shared in itertools.combinations(every, count):
            results = [result for result, own in present.items() if set(shared) <= set(own)]
            if len(results) >= 3:
                found.append((-count * len(results), -count, list(shared), results))
    return min(found)[2:] if found else ([], [])


def test_the_largest_block_is_found():
    generator = np.random.default_rng(0)
    for _ in range(200):
        names = np.array(list("abcdef"))
        chance = generator.uniform(0.3, 1)
        present = {}
        for number in range(generator.integers(1, 8)):
            present[number] = set(names[generator.random(6) < chance].tolist())
        assert complete_block(present) == by_hand(present)


def test_a_complete_study_is_its_own_block():
    present = dict.fromkeys(["x", "y", "z"], "bac")
    assert complete_block(present) == (["a", "b", "c"], ["x", "y", "z"])
    assert complete_block(present | {"w": "ab"}) == (["a", "b", "c"], ["x", "y", "z"])


def test_three_of_either_are_needed():
    assert complete_block({}) == ([], [])
    assert complete_block(dict.fromkeys("xy", "abc")) == ([], [])
    assert complete_block(dict.fromkeys("xyz", "ab")) == ([], [])


def test_of_equal_blocks_the_one_of_more_datasets_is_taken():
    present = dict.fromkeys("wxyz", "abcd")
    wide = present | dict.fromkeys(["v"], "abc")
    # 4 x 4 against 3 x 5; then a tie of 4 x 3 and 3 x 4
    assert complete_block(wide) == (list("abcd"), list("wxyz"))
    tie = dict.fromkeys("xyz", "abcd") | {"v": "abc"}
    assert complete_block(tie) == (list("abcd"), list("xyz"))
