"""Names of rules that are made in a loop."""

from zslpipe.machine.names import rule_names
from zslpipe.machine.workflow_log import STARTED


def test_each_name_is_a_word_and_another():
    names = rule_names("figures", ["CUB", "my-birds", "my birds", "Vögel"])
    assert names == ["figures_CUB", "figures_my_birds", "figures_my_birds_3", "figures_V_gel"]
    assert all(STARTED.fullmatch(f"localrule {name}:") for name in names)


def test_a_number_that_makes_it_another_s_word_is_followed_by_one_more():
    assert rule_names("x", ["a_3", "a.b", "a"]) == ["x_a_3", "x_a_b", "x_a"]
    assert rule_names("x", ["a_b_3", "a.b", "a-b"]) == ["x_a_b_3", "x_a_b", "x_a_b_3_3"]
