"""What the rules ask of files is what the jobs of the same configuration write into them."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.formats.test_scores import irrelevant, matrix
from tests.made_up.configuration import given
from zslpipe.formats.identity import check_hashes, check_run_file, run_hash, run_of
from zslpipe.formats.scores import read_scores, write_irrelevant, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores.ensembles import ensemble, ensemble_irrelevant
from zslpipe.scores.rebalancing import rebalance
from zslpipe.study.ensembles import Ensembles
from zslpipe.study.study import Study


def configured() -> dict:
    """Return a configuration with ensembles of both orders."""
    config = given("seeds=[3,5] eszsl.rebalancing=[none,oracle]")
    average = {"of": ["dazle", "eszsl"], "rebalancing": ["none", "oracle"]}
    config["ensembles"] = {"e": average, "f": average | {"order": "rebalance first"}}
    return config


@pytest.fixture(scope="module")
def results():
    return Study(configured()).results


@pytest.fixture
def members(results, tmp_path):
    """The score matrices of two runs as their trainings would write them."""
    paths = []
    for method in ("dazle", "eszsl"):
        run = results.run_of("creatures", f"{method}/default", 3)
        path = tmp_path / method / "scores.h5"
        write_scores(path, matrix(method=method, variant="default", seed=3, run=run, unit="logits"))
        paths.append(path)
    return paths


def asked(results, path, kind="none", seed=3):
    return results.run_of("creatures", path, seed, kind)


def test_a_run_is_its_slice_and_seed(results):
    run = asked(results, "dazle/chosen")
    slice_ = results.runs.all["creatures", "dazle", "chosen"].slice
    assert run == {**slice_, "seed": 3}
    wildcards = SimpleNamespace(dataset="creatures", run="dazle/chosen", seed="3")
    assert json.loads(results.asked(wildcards)) == json.loads(json.dumps(run))
    figure = SimpleNamespace(dataset="creatures", method="dazle", variant="chosen")
    assert results.asked_of_first_seed(figure) == results.asked(wildcards)


def test_rebalanced_scores_are_told_from_those_of_other_settings(results, members, tmp_path):
    rebalance("oracle", members[1], tmp_path / "o.h5", None, None, {})
    check_run_file(tmp_path / "o.h5", asked(results, "eszsl/default", "oracle"))
    for other in ("none", "cosmo"):
        with pytest.raises(InputError, match="rebalancing"):
            check_run_file(tmp_path / "o.h5", asked(results, "eszsl/default", other))
    figure = SimpleNamespace(dataset="creatures", method="eszsl", variant="default")
    both = json.loads(results.before_and_after(figure, "oracle"))
    check_hashes([members[1], tmp_path / "o.h5"], both)
    with pytest.raises(InputError, match="of another configuration"):
        check_hashes([members[1], tmp_path / "o.h5"], both[::-1])


def test_a_foreign_matrix_stays_foreign(tmp_path):
    write_scores(tmp_path / "scores.h5", matrix(unit="logits"))
    rebalance("oracle", tmp_path / "scores.h5", tmp_path / "o.h5", None, None, {})
    assert read_scores(tmp_path / "o.h5").run == {}
    ensemble([tmp_path / "scores.h5"] * 2, [], tmp_path / "e.h5", "e", "default")
    assert read_scores(tmp_path / "e.h5").run == {}


def test_an_ensemble_is_its_members(results, members, tmp_path):
    wildcards = SimpleNamespace(dataset="creatures", ensemble="e", seed="3", rebalancing="oracle")
    check_hashes(members, json.loads(Ensembles(results).members_asked(wildcards)))
    ensemble(members, [], tmp_path / "e.h5", "e", "default")
    check_run_file(tmp_path / "e.h5", asked(results, "e/default"))
    with pytest.raises(InputError, match="seed: asked 5, it says 3"):
        check_run_file(tmp_path / "e.h5", asked(results, "e/default", seed=5))
    rebalance("oracle", tmp_path / "e.h5", tmp_path / "o.h5", None, None, {})
    check_run_file(tmp_path / "o.h5", asked(results, "e/default", "oracle"))
    # The other order: members first.
    rebalanced = []
    for path in members:
        rebalance("oracle", path, path.parent / "o.h5", None, None, {})
        rebalanced.append(path.parent / "o.h5")
    check_hashes(rebalanced, json.loads(Ensembles(results).rebalanced_members_asked(wildcards)))
    with pytest.raises(InputError, match="of another configuration"):
        check_hashes(rebalanced, json.loads(Ensembles(results).members_asked(wildcards)))
    ensemble(rebalanced, [], tmp_path / "f.h5", "f", "default")
    check_run_file(tmp_path / "f.h5", asked(results, "f/default", "oracle"))
    assert run_of(tmp_path / "f.h5")["members"].keys() == {"dazle/default", "eszsl/default"}


def test_an_ensemble_of_task_irrelevant_scores_is_its_members_too(results, tmp_path):
    paths = []
    for method in ("dazle", "eszsl"):
        run = results.run_of("creatures", f"{method}/default", 3)
        paths.append(tmp_path / f"{method}.h5")
        one = replace(
            irrelevant(), unit="logits", method=method, variant="default", seed=3, run=run
        )
        write_irrelevant(paths[-1], one)
    ensemble_irrelevant(paths, [], tmp_path / "irrelevant.h5", "e", "default")
    check_run_file(tmp_path / "irrelevant.h5", asked(results, "e/default"))


def test_every_row_of_the_table_has_its_hash(results):
    assert list(results.measured) == results.metrics == results.tabled
    folder = "results/creatures/runs"
    expected = {
        f"{folder}/dazle/chosen/seed5/metrics.json": asked(results, "dazle/chosen", seed=5),
        f"{folder}/eszsl/default/seed3/oracle/metrics.json": asked(
            results, "eszsl/default", "oracle"
        ),
        f"{folder}/f/default/seed3/oracle/metrics.json": asked(results, "f/default", "oracle"),
    }
    for path, run in expected.items():
        assert results.measured[path] == run_hash(run)
    assert json.loads(results.tabled_asked) == [results.rows[path] for path in results.tabled]
    one = SimpleNamespace(dataset="creatures")
    curves = [results.measured[path] for path in results.metrics_of_first_seed("creatures")]
    assert json.loads(results.curves_asked(one)) == curves
    default = [run_hash(asked(results, f"{name}/default")) for name in ("dazle", "eszsl")]
    assert json.loads(results.confusion_asked(one)) == default


def test_the_best_epoch_of_a_tracked_run_has_its_hash():
    tracked = Study(given("seeds=[3] dazle.track=test dazle.variants={}")).results
    path = "results/creatures/runs/dazle/default/seed3/best_on_test.json"
    assert tracked.rows[path] == run_hash(asked(tracked, "dazle/default"))


def test_what_computes_no_number_asks_for_nothing_else(results):
    """Batch sizes, types and threads of an extraction are not what features have to be of."""
    config = configured()
    config["extractors"]["coarse"] |= {"batch_size": 7, "dtype": "float16"}
    config["compute"] = {"extract_threads": 3, "threads": 1}
    assert Study(config).results.measured == results.measured
    config["extractors"]["coarse"]["layer"] = "layer2"
    assert Study(config).results.measured != results.measured


def test_indices_of_all_datasets_are_told(results):
    told = json.loads(Study(given()).datasets.indices_json)
    assert list(told) == ["birds", "creatures"]
    assert told["birds"] == results.runs.all["birds", "eszsl", "default"].index
    other = Study(given("datasets.birds.source.splits=other.mat"))
    assert json.loads(other.datasets.indices_json)["birds"] != told["birds"]
