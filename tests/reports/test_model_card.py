"""What a model card says of classes that nobody trained on."""

import pytest

from zslpipe.reports.model_card import _describes as describes

PAIR = {"encoder": "open_clip/ViT-B-16", "weights": "clip.pt"}
TOLD = [
    ("att", {}, "its 3 attributes (`--classes`)"),
    (
        "text/prompts",
        PAIR,
        "texts (`--classes`), encoded by open_clip/ViT-B-16 and clip.pt under `--data-root`",
    ),
    (
        "text/prompts",
        {"encoder": "demo"},
        "texts (`--classes`) where the results lie, not by this folder",
    ),
]


@pytest.mark.parametrize(("semantics", "settings", "told"), TOLD)
def test_new_classes_are_described_by_what_the_run_reads(
    semantics: str, settings: dict[str, str], told: str
) -> None:
    described = {
        "run": {"semantics": semantics},
        "attributes": ["a", "b", "c"],
        "texts": {"settings": settings},
    }
    assert describes(described) == told
