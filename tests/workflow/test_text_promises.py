"""What an edit of texts, of their encoder or of its code runs again: sets of jobs of dry runs."""

from pathlib import Path

import pytest

from tests.made_up.checkouts import Checkout, run_checkout
from tests.made_up.encoders import write_sentence_encoder
from zslpipe.formats.metrics import read_metrics

pytest.importorskip("sentence_transformers")

CONFIG = """\
data_root: DATA
methods: [eszsl]
datasets:
  demo:
    adapter: demo
    source: {images_per_class: 2, auxiliary_classes: 4, auxiliary_images_per_class: 4}
    extractors: [demo_7x7]
extractors:
  demo_7x7: {backbone: demo, size: 112, grid: 7}
words:
  phrases: {kind: text, encoder: "sentence-transformers:tiny", template: "with {attribute}"}
texts:
  prompts: {encoder: "sentence-transformers:tiny", templates: ["a photo of a {class}."]}
eszsl:
  semantics: {text: prompts}
  variants:
    plain: {semantics: att}
compute: {device: cpu, threads: 1, extract_threads: 1, image_threads: 1}
"""
RUNS = ("eszsl/default", "eszsl/plain")
METRICS = tuple(f"results/demo/runs/{run}/seed0/metrics.json" for run in RUNS)
TARGETS = (*METRICS, "results/demo/words/phrases.h5")
ENCODED = {"texts demo/prompts", "train demo/eszsl/default/0"}
PHRASES = {"encoded_words demo/phrases"}
# A file, what stands there, what is put in its place, the jobs that follow.
EDITS = {
    "a template": ("config.yaml", "a photo of", "a drawing of", ENCODED),
    "a phrase": ("config.yaml", "with {attr", "has {attr", PHRASES),
    "how vectors are made": (
        *("zslpipe/features/text_encoding.py", "/ np.array(counts)[:, None]"),
        *("/ np.array(counts)[:, None] * 1.0", ENCODED | PHRASES),
    ),
    "what is only said": (
        *("zslpipe/features/text_encoding.py", "have vectors of zeros", "are all zeros", set()),
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which a run on texts and one on attributes have run."""
    root = tmp_path_factory.mktemp("texts")
    (root / "data").mkdir()
    write_sentence_encoder(root / "data" / "tiny")
    configuration = CONFIG.replace("DATA", str(root / "data"))
    return run_checkout(root / "checkout", configuration, *TARGETS)


@pytest.mark.slow
def test_an_edit_runs_what_reads_it(finished: Checkout) -> None:
    assert finished.planned(*TARGETS) == set()
    for edit, (file, old, new, jobs) in EDITS.items():
        finished.replace(file, old, new)
        assert finished.planned(*TARGETS) == jobs, edit
        finished.replace(file, new, old)
    tables = [read_metrics(finished.folder / path)["semantics"] for path in METRICS]
    assert tables[0].startswith("text/prompts: sentence-transformers:tiny, sentence-transformers ")
    assert tables[0].endswith(", 40 texts (unit)") and tables[1] == "att (unit)"


@pytest.mark.slow
def test_another_encoder_in_the_same_folder(finished: Checkout) -> None:
    folder = Path(finished.folder).parent / "data" / "tiny"
    write_sentence_encoder(folder, seed=1)
    assert finished.planned(*TARGETS) == ENCODED | PHRASES
