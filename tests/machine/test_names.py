"""Names of rules that are made in a loop."""

from zslpipe.machine.names import rule_names
from zslpipe.machine.workflow_log import STARTED


def test_each_name_is_a_word_and_another():
    names = rule_names("figures", ["CUB", "my-birds", "my birds", "Vögel"])
    assert names == ["figures_CUB", "figures_my_birds", "figures_my_birds_3", "figures_V_gel"]
    assert all(STARTED.fullmatch(f"localrule {name}:") for name in names)
