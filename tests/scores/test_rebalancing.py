import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from tests.made_up.runs import FILES, NEEDS, applied, columns_and_labels, run, write_run
from zslpipe.machine.errors import InputError
from zslpipe.scores.evaluation import evaluate
from zslpipe.scores.kinds import KINDS, PROBABILITIES
from zslpipe.scores.rebalancing import rebalance


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written(tmp_path, kind):
    result, original = applied(tmp_path, kind), run()[0]
    assert result.rebalancing == kind and result.chosen["epochs"] == 4
    for name in (
        "dataset",
        "method",
        "variant",
        "seed",
        "extractor",
        "semantics",
        "selection",
        "protocol",
        "classes",
    ):
        assert getattr(result, name) == getattr(original, name)
    for split, labels in original.labels.items():
        assert np.array_equal(result.labels[split], labels) and result.scores[split].shape == (
            len(labels),
            9,
        )
    before, after = evaluate(original), evaluate(result)
    assert after["rebalancing"] == kind and after["T1"] == before["T1"]
    if kind == "none":
        assert all(
            np.array_equal(result.scores[split], original.scores[split]) for split in result.scores
        )
        assert set(result.chosen) == {"epochs"}
    else:
        assert after["H"] > before["H"] + 0.1 and after["U"] > before["U"]
    if kind in PROBABILITIES:
        assert all((np.exp(scores).sum(axis=1) < 1.6).all() for scores in result.scores.values())
    assert evaluate(applied(tmp_path, "oracle"))["H"] >= after["H"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_it_needs_is_asked_for(tmp_path, kind):
    paths = dict(zip(FILES, write_run(tmp_path, *run()), strict=True))
    given = dict.fromkeys(FILES) | {name: paths[name] for name in NEEDS[kind]}
    rebalance(
        kind, paths["scores"], tmp_path / "out.h5", given["validation"], given["irrelevant"], {}
    )
    for name in NEEDS[kind]:
        with pytest.raises(
            InputError,
            match=rf"rebalancing '{kind}' needs {name}\.h5 of the same run, none is given",
        ):
            rebalance(
                kind,
                paths["scores"],
                tmp_path / "out.h5",
                *({**given, name: None}[n] for n in FILES[1:]),
                {},
            )


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        applied(tmp_path / name, "discriminator")
    assert (tmp_path / "a/out.h5").read_bytes() == (tmp_path / "b/out.h5").read_bytes()


BAD = [
    ("oracel", {}, r"rebalancing 'oracel'; did you mean 'oracle'\?"),
    ("none", {"factor": 1.0}, "unknown setting 'factor'"),
    ("calibrated_stacking", {"faktor": 1.0}, "did you mean 'factor'"),
    ("cosmo", {"top": 0}, "top: 0 is out of range; give a whole number"),
    ("cosmo", {"top": 2.5}, "write a whole number"),
    ("discriminator", {"mixup": []}, r"mixup: \[\] is too short"),
    ("discriminator", {"mixup": [0.5, 1.0]}, "give a number from 0 to below 1"),
    ("discriminator", {"smoothing": [0.0]}, "give a number above 0"),
    ("discriminator", {"reading": "logit"}, "did you mean 'logits'"),
    ("discriminator", {"reading": "logits"}, "give one mixup and one smoothing"),
]


@pytest.mark.parametrize(("kind", "settings", "message"), BAD)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, kind, settings, message):
    scores, validation, irrelevant = write_run(tmp_path, *run())
    with pytest.raises(InputError, match=message) as error:
        rebalance(kind, scores, tmp_path / "out.h5", validation, irrelevant, settings)
    assert "\n" not in str(error.value) and not (tmp_path / "out.h5").exists()


def without(matrix, split):
    """The matrix without the images of a split."""
    empty = {
        name: {**getattr(matrix, name), split: getattr(matrix, name)[split][:0]}
        for name in ("scores", "labels")
    }
    return dataclasses.replace(
        matrix, **empty, images={**matrix.images, split: matrix.images[split][:0]}
    )


def only_seen(matrix):
    """The matrix with its seen classes only."""
    matrix = without(matrix, "test_unseen")
    return dataclasses.replace(
        matrix,
        classes=tuple(np.array(matrix.classes)[matrix.seen]),
        seen=np.ones(matrix.seen.sum(), bool),
        **columns_and_labels(matrix, matrix.seen, np.cumsum(matrix.seen) - 1),
    )


FOREIGN = [
    (
        "scores",
        lambda m: dataclasses.replace(m, rebalancing="cosmo"),
        "already rebalanced by 'cosmo'",
    ),
    ("scores", only_seen, "no unseen class; there is nothing to rebalance"),
    (
        "scores",
        lambda m: without(m, "trainval"),
        "trainval is empty; rebalancing 'discriminator' learns from",
    ),
    ("validation", lambda m: dataclasses.replace(m, seed=4), "seed is 4, that of the scores 3"),
    (
        "validation",
        lambda m: dataclasses.replace(m, method="other"),
        "method is 'other', that of the scores 'made_up'",
    ),
    (
        "validation",
        lambda m: dataclasses.replace(m, classes=m.classes[::-1]),
        "6 classes are not the seen 6 of",
    ),
    (
        "validation",
        lambda m: without(m, "test_unseen"),
        "test_unseen is empty; nothing can be chosen",
    ),
    ("irrelevant", lambda m: dataclasses.replace(m, variant="other"), "variant is 'other'"),
    (
        "irrelevant",
        lambda m: dataclasses.replace(m, classes=m.classes[::-1]),
        "9 classes are not all 9 of the scores",
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), FOREIGN)
def test_files_of_another_run_are_refused(tmp_path, name, change, message):
    made = dict(zip(FILES, run(), strict=True))
    paths = write_run(tmp_path, *(made | {name: change(made[name])}).values())
    with pytest.raises(InputError, match=message) as error:
        rebalance("discriminator", paths[0], tmp_path / "out.h5", paths[1], paths[2], {})
    assert f"{name}.h5" in str(error.value) and "\n" not in str(error.value)


def test_absent_files_are_named(tmp_path):
    paths = write_run(tmp_path, *run())
    paths[2].unlink()
    with pytest.raises(InputError, match=r"irrelevant\.h5: no such file"):
        rebalance("discriminator", paths[0], tmp_path / "out.h5", paths[1], paths[2], {})


def test_chosen_values_are_plain_json(tmp_path):
    for kind in KINDS:
        assert json.loads(json.dumps(applied(tmp_path, kind).chosen))["epochs"] == 4


def test_importing_loads_neither_torch_nor_scikit_learn():
    modules = (
        "scores.rebalancing",
        "scores.ensembles",
        "datasets.irrelevant_images",
        "reports.figures.predictions",
    )
    loaded = "sys.exit(bool({'torch', 'sklearn'} & set(sys.modules)))"
    imports = "; ".join(f"import zslpipe.{name}" for name in modules)
    code = f"import sys; {imports}; {loaded}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
