"""One small real run of the whole workflow; each promise is then tried on a copy of the finished
checkout.
"""

from pathlib import Path

import pytest

from tests.made_up.checkouts import CONFIG, PARTS, Checkout, copied
from tests.made_up.places import ROOT


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the small demo has run for real."""
    checkout = Checkout(tmp_path_factory.mktemp("finished") / "checkout")
    checkout.folder.mkdir()
    for part in PARTS:
        copied(ROOT / part, checkout.folder / part)
    (checkout.folder / "config.yaml").write_text(CONFIG, encoding="utf8")
    checkout.snakemake("--cores", "2")
    return checkout


@pytest.fixture
def checkout(finished: Checkout, tmp_path: Path) -> Checkout:
    """A moved copy of the finished checkout, to be edited."""
    copied(finished.folder, tmp_path / "moved")
    return Checkout(tmp_path / "moved")
