"""Results that one rule makes."""

from zslpipe.study.alike import Alike, alike


def test_a_rule_is_of_members_with_the_same_on_the_same_datasets():
    one, two = ("cosmo",), ("cosmo", "oracle")
    wanted = [
        (one, "birds", "dazle"),
        (one, "birds", "rsan"),
        (two, "birds", "mlis"),
        (one, "suns", "dazle"),
        (one, "suns", "rsan"),
        (one, "pets", "rsan"),
    ]
    assert alike("rebalance", wanted) == [
        Alike("rebalance", one, ("birds", "suns"), ("dazle", "rsan")),
        Alike("rebalance_2", two, ("birds",), ("mlis",)),
        Alike("rebalance_3", one, ("pets",), ("rsan",)),
    ]
    assert alike("rebalance", []) == []
