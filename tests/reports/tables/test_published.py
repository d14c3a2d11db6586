"""The numbers of the papers, against arithmetic and against the reference file."""

import pytest
import yaml

from tests.made_up.places import DATA, PACKAGE
from zslpipe.reports.tables.published import METRICS, published, source


@pytest.fixture(scope="module")
def papers():
    path = PACKAGE / "reports" / "tables" / "published.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_printed_h_is_the_harmonic_mean_of_printed_u_and_s(papers):
    # Printed to one decimal: three roundings of 0.05 each. A mistyped digit shows here.
    checked = 0
    for method in papers.values():
        for row in method["rows"]:
            if {"U", "S", "H"} <= set(row):
                assert row["H"] == pytest.approx(
                    2 * row["U"] * row["S"] / (row["U"] + row["S"]), abs=0.16
                ), row
                checked += 1
    assert checked == 13 + 28 + 3  # dazle, mlis, rsan


def test_every_number_is_a_percentage_and_stands_once(papers):
    keys, numbers = [], []
    for name, method in papers.items():
        assert set(method) == {"paper", "semantics", "rows"}
        for row in method["rows"]:
            assert set(row) <= {
                "variant",
                "dataset",
                "table",
                "protocol",
                "rebalancing",
                *METRICS,
            }, row
            given = [metric for metric in METRICS if metric in row]
            place = (
                name,
                row["variant"],
                row["dataset"],
                row.get("protocol"),
                row.get("rebalancing"),
            )
            keys += [(*place, metric) for metric in given]
            numbers += [row[metric] for metric in given]
    assert len(keys) == len(set(keys)) == len(numbers) == 239
    assert all(0 < number < 100 for number in numbers)


def test_sums_of_the_transcription(papers):
    sums = {}
    for name, method in papers.items():
        numbers = [row.get(metric, 0) for row in method["rows"] for metric in METRICS]
        sums[name] = round(sum(numbers), 2)
    expected = {
        "dazle": 1644.7,
        "mlis": 4897.5,
        "crafting": 1338.3,
        "vs_cc": 1015.18,
        "rsan": 4965.0,
        "sgma": 0,
    }
    assert sums == expected


def test_spot_values():
    assert published("dazle", "default", "CUB", "proposed split") == {
        "T1": 65.9,
        "U": 56.7,
        "S": 59.6,
        "H": 58.1,
    }
    assert published("dazle", "no_calibration", "AWA2", "proposed split") == {
        "U": 25.7,
        "S": 82.5,
        "H": 39.2,
    }
    assert published("dazle", "no_calibration", "DeepFashion", "proposed split") == {
        "U": 8.2,
        "S": 38.7,
        "H": 13.5,
    }
    bare = "no_dense_no_calibration_no_attribute_attention"
    assert published("dazle", bare, "DeepFashion", "proposed split") == {
        "U": 4.8,
        "S": 45.3,
        "H": 8.7,
    }
    assert published(
        "dazle", "no_dense_no_attribute_attention", "DeepFashion", "proposed split"
    ) == {
        "U": 18.9,
        "S": 36.2,
        "H": 24.8,
    }
    assert published("dazle", "fixed_word_vectors", "DeepFashion", "proposed split") == {
        "U": 21.5,
        "S": 31.6,
        "H": 25.6,
    }
    assert published("mlis", "default", "aPY", "proposed split") == {
        "U": 34.6,
        "S": 66.1,
        "H": 45.4,
    }
    assert published("rsan", "default", "SUN", "proposed split") == {
        "T1": 64.9,
        "U": 43.1,
        "S": 34.0,
        "H": 38.0,
    }
    assert published("vs_cc", "default", "FLO", "proposed split", "discriminator") == {
        "T1": 77.5,
        "H": 78.8,
    }
    assert published("vs_cc", "default", "AWA", "proposed split") == {"T1": 78.5}


OTHER_NAMES = [
    ("crafting", "default", "AWA2"),
    ("dazle", "default", "cub127"),
    ("dazle", "default", "demo"),
    ("dazle", "new", "CUB"),
    ("sgma", "default", "CUB"),
    ("unknown", "default", "CUB"),
]


@pytest.mark.parametrize("names", OTHER_NAMES)
def test_nothing_is_published_for_other_names(names):
    assert published(*names, "proposed split") == {} and source(*names, "proposed split") == ""


def test_sources_name_table_and_class_vectors():
    assert (
        source("mlis", "default", "CUB", "proposed split")
        == "mlis, table 2; class vectors: 1024-d sentence embeddings"
    )
    assert (
        source("dazle", "default", "SUN", "proposed split")
        == "dazle, table 2; class vectors: the dataset's attributes"
    )


def reference_values(methods):
    """Every value of the reference file, with our names: (method, variant, dataset, rebalancing) ->
    numbers.
    """
    dazle, mlis, rsan = methods["DAZLE"], methods["MLIS"], methods["RSAN"]
    for variant, key in (("default", "results"), ("no_calibration", "without_calibration")):
        for dataset, values in dazle[key].items():
            yield ("dazle", variant, dataset, "none"), values
    for values in dazle["ablation_DeepFashion"]:
        parts = {"no_dense": not values["dense"], "no_calibration": not values["calibration"]}
        parts |= {"no_attribute_attention": not values["attribute_attention"]}
        parts |= {"fixed_word_vectors": values.get("fixed_word_vectors", False)}
        name = "_".join(part for part, present in parts.items() if present) or "default"
        yield ("dazle", name, "DeepFashion", "none"), values
    tables = {"default": mlis["results"], **mlis["ablation"]}
    for loss in ("contrastive", "multi_similarity"):
        tables |= {loss: mlis["loss_study"][loss]["without"]}
        tables |= {f"{loss}_with_implicit_semantics": mlis["loss_study"][loss]["with"]}
    tables = {("mlis", name): table for name, table in tables.items()}
    branches = {**rsan["recognition_branch_ablation"], **rsan["constraint_branch_ablation"]}
    branches["baseline"] = rsan["recognition_branch_ablation"]["baseline"]
    tables |= {
        ("rsan", name): table for name, table in ({"default": rsan["results"]} | branches).items()
    }
    for (method, variant), table in tables.items():
        for dataset, values in table.items():
            yield (method, variant, dataset, "none"), values
    for row in rsan["episode_study_T1"]:
        name = (
            "random_batch_64"
            if "batch" in row
            else f"episodes_{row['ways']}_ways_{row['shots']}_shots"
        )
        for dataset in ("CUB", "SUN", "AWA2"):
            yield ("rsan", name, dataset, "none"), {"T1": row[dataset]}
    yield from reference_crafting(methods)


def reference_crafting(methods):
    kinds = {"none": "none", "R": "discriminator", "oracle": "oracle"}
    ours = {
        "S-CC": ("crafting", "default"),
        "V-CC": ("crafting", "visual"),
        "V&S-CC": ("vs_cc", "default"),
    }
    for name, (method, variant) in ours.items():
        for dataset, values in methods[name]["results"].items():
            yield (method, variant, dataset, "discriminator"), values
        for kind, values in methods["V&S-CC"]["rebalancing_FLO_H"].items():
            yield (method, variant, "FLO", kinds[kind]), {"H": values[name]}
    for backbone, value in methods["V&S-CC"]["backbones_FLO_T1"].items():
        yield ("vs_cc", backbone.lower().replace("-", ""), "FLO", "none"), {"T1": value}


@pytest.mark.data
def test_every_value_agrees_with_the_reference(papers):
    path = DATA.parent / "published.yaml"
    if not path.is_file():
        pytest.skip("no published.yaml beside the data folder (ZSLPIPE_DATA)")
    seen = set()
    for names, values in reference_values(
        yaml.safe_load(path.read_text(encoding="utf-8"))["methods"]
    ):
        ours = published(*names[:3], "proposed split", names[3])
        for metric in METRICS:
            if metric in values:
                assert ours[metric] == values[metric], (names, metric)
                seen.add((*names, metric))
    rows_in_use = [
        row for method in papers.values() for row in method["rows"] if "protocol" not in row
    ]
    total = sum(metric in row for row in rows_in_use for metric in METRICS)
    # T1 of the crafted classifiers stands in a row without rebalancing and is read with R: the
    # counts agree.
    assert len(seen) == total


def test_published_numbers_of_a_split_belong_to_that_split():
    assert published("dazle", "default", "CUB", "standard split") == {"T1": 67.8}
    assert published("dazle", "default", "CUB", "demo split") == {}
    assert source("dazle", "default", "CUB", "own split") == ""
