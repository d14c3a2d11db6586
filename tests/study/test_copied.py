"""Results of another configuration that Snakemake has not made are refused by name."""

import json

import pytest

from tests.scores.test_best_epoch import METRICS
from zslpipe.machine.errors import InputError
from zslpipe.study.copied import refuse_copied


def test_what_was_copied_is_compared_and_what_was_made_is_snakemakes_to_judge(tmp_path):
    path = tmp_path / "seed0" / "metrics.json"
    path.parent.mkdir()
    rows = {str(path): "a" * 16}
    refuse_copied(rows, lambda name: None)  # not there: it will be made
    path.write_text(json.dumps(METRICS | {"run": "b" * 16}))
    refuse_copied(rows, lambda name: {"params": []})
    with pytest.raises(InputError, match=f"asked run {'a' * 16}, it says {'b' * 16}") as caught:
        refuse_copied(rows, lambda name: None)
    assert f"Delete {path.parent} and run again; features stay" in str(caught.value)
    path.write_text(json.dumps(METRICS))
    with pytest.raises(InputError, match="it says none"):
        refuse_copied(rows, lambda name: None)
    path.write_text(json.dumps(METRICS | {"run": "a" * 16}))
    refuse_copied(rows, lambda name: None)
