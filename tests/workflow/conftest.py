"""One small real run of the whole workflow; each promise is then tried on a copy of the finished
checkout.
"""

from pathlib import Path

import pytest

from tests.made_up.checkouts import CONFIG, Checkout, copied, run_checkout


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the small demo has run for real."""
    return run_checkout(tmp_path_factory.mktemp("finished") / "checkout", CONFIG)


@pytest.fixture
def checkout(finished: Checkout, tmp_path: Path) -> Checkout:
    """A moved copy of the finished checkout, to be edited."""
    copied(finished.folder, tmp_path / "moved")
    return Checkout(tmp_path / "moved")
