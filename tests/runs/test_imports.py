"""Jobs that read features import no network library and no compiler of torch's: either takes as
long as torch itself.
"""

import subprocess
import sys

import pytest

SLOW = ("torchvision", "torch._dynamo", "sklearn")


@pytest.mark.parametrize(
    "modules",
    [
        "zslpipe.runs.attention, zslpipe.methods.dazle",
        "zslpipe.runs.rebalancing_inputs, zslpipe.methods.crafting",
        "zslpipe.runs.train, zslpipe.runs.readiness, zslpipe.methods.eszsl",
        "zslpipe.methods.rsan, zslpipe.methods.sgma",
    ],
)
def test_what_a_job_on_features_imports(modules: str) -> None:
    code = f"import sys, {modules}\nprint([name for name in {SLOW} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
