import dataclasses

import numpy as np
import pytest

from tests.made_up.parts import (
    ABOUT,
    CENTRES,
    CLASSES,
    GROUPS,
    HEIGHT,
    PARTS,
    WIDTH,
    by_name,
    cell_peaks,
    localized,
    made_up_index,
)
from zslpipe.cell_centres import CellCentres
from zslpipe.formats.localization import MEASURES, read_localization
from zslpipe.machine.errors import InputError
from zslpipe.maps.body_parts import body_parts
from zslpipe.maps.central_square import places_in_square
from zslpipe.maps.localization import (
    Annotated,
    assign,
    centres_of_cells,
    measure,
    near,
    object_sizes,
    seek,
)

CELLS = centres_of_cells((HEIGHT, WIDTH), CENTRES)


def in_pixels(index, image):
    """Parts of an image in pixels of its box, the square's corner and side, which parts lie in the
    square, the object's size; all from the definitions.
    """
    left, top, right, bottom = index.boxes[image].tolist()
    width, height = right - left, bottom - top
    side = min(width, height)
    corner = ((width - side) / 2, (height - side) / 2)
    places = [(float(x) * width, float(y) * height) for x, y in index.part_locations[image]]
    shown = [place for place in places if not np.isnan(place[0])]
    size = 0.0
    for along in zip(*shown, strict=True):
        size = max(size, max(along) - min(along))
    inside = [
        not np.isnan(x) and 0 <= x - corner[0] <= side and 0 <= y - corner[1] <= side
        for x, y in places
    ]
    return places, corner, side, inside, size


def pairs_from_the_definition(index, peaks, related, has):
    """Yield (image's row, map, values of MEASURES) of every counted pair, in plain loops."""
    tests = [*index.splits["test_seen"], *index.splits["test_unseen"]]
    for row, image in enumerate(tests):
        places, corner, side, inside, size = in_pixels(index, image)
        for column in range(peaks.shape[1]):
            targets = [
                places[part] for part in range(len(PARTS)) if related[column][part] and inside[part]
            ]
            if not (has(index.labels[image], column) and targets and size > 0):
                continue

            def hits(x, y, limit, corner=corner, side=side, targets=targets, size=size):
                x, y = corner[0] + x * side, corner[1] + y * side
                return min(np.hypot(x - u, y - v) for u, v in targets) < limit * size

            values = {}
            centres = [0.05 + 0.15 * number for number in range(WIDTH)]
            cells = [(x, y) for y in centres[:HEIGHT] for x in centres]
            for name, limit in (("tenth", 0.1), ("fifth", 0.2)):
                values[name] = hits(*peaks[row, column].astype(float), limit)
                values[f"random_{name}"] = np.mean([hits(x, y, limit) for x, y in cells])
                values[f"centre_{name}"] = hits(0.5, 0.5, limit)
                values[f"best_{name}"] = any(hits(x, y, limit) for x, y in cells)
            yield row, column, values


@pytest.mark.parametrize("seed", [0, 1])
def test_every_share_against_plain_loops(tmp_path, seed):
    index = made_up_index(seed)
    generator = np.random.default_rng(seed)
    strengths = index.semantics["att"]
    peaks = cell_peaks(generator, 36, len(ABOUT))
    found = by_name(localized(tmp_path, index, peaks))
    means = [sum(strengths[:, column]) / CLASSES for column in range(len(ABOUT))]
    pairs = list(
        pairs_from_the_definition(
            index, peaks, ABOUT, lambda label, column: strengths[label, column] >= means[column]
        )
    )
    tests = np.concatenate([index.splits["test_seen"], index.splits["test_unseen"]])
    merged = {"beak": [0], "eye": [1, 3], "tail": [2]}
    checked = 0
    for images, seen in (("seen", True), ("unseen", False)):
        mine = [pair for pair in pairs if (index.labels[tests[pair[0]]] < 2) == seen]
        expected = {("overall", ""): mine}
        for name in ("head", "tail", "size"):
            expected["group", name] = [pair for pair in mine if GROUPS[pair[1]] == name]
        for name, members in merged.items():
            expected["part", name] = []
            for pair in mine:
                inside = in_pixels(index, tests[pair[0]])[3]
                if any(ABOUT[pair[1]][part] and inside[part] for part in members):
                    expected["part", name].append(pair)
        for key, chosen in expected.items():
            if not chosen:
                assert (images, *key) not in found
                continue
            share = found[(images, *key)]
            assert share["pairs"] == len(chosen)
            for name in MEASURES:
                assert share[name] == pytest.approx(
                    np.mean([values[name] for _, _, values in chosen])
                ), (key, name)
            checked += 1
    assert checked == len(found) and ("unseen", "overall", "") in found
    assert not [name for _, of, name in found if (of, name) == ("group", "size")]  # about no part


def test_identity_and_no_assignment_for_attribute_maps(tmp_path):
    index = made_up_index()
    content = localized(tmp_path, index, cell_peaks(np.random.default_rng(0), 36, 5))
    assert [content[name] for name in ("dataset", "method", "variant", "seed", "kind")] == [
        *("made up", "rsan", "default", 3, "attributes")
    ]
    assert "assigned" not in content
    assert read_localization(tmp_path / "localization.json") == content


def mirrored(points):
    return np.stack([1 - points[..., 0], points[..., 1]], axis=-1)


def test_mirrored_images_give_the_same(tmp_path):
    index = made_up_index()
    peaks = cell_peaks(np.random.default_rng(4), 36, 5)
    plain = by_name(localized(tmp_path, index, peaks))
    other = dataclasses.replace(index, part_locations=mirrored(index.part_locations))
    turned = by_name(localized(tmp_path, other, mirrored(peaks)))
    assert plain.keys() == turned.keys()
    for key, share in plain.items():
        for name in MEASURES:
            assert turned[key][name] == pytest.approx(share[name]), (key, name)


def test_places_and_sizes_by_hand():
    locations = np.array(
        [[[0.5, 0.5], [0.1, 0.5], [np.nan, np.nan]], [[0.2, 0.2], [np.nan] * 2, [np.nan] * 2]]
    )
    sizes = np.array([[200.0, 100.0], [100.0, 100.0]])
    places = places_in_square(
        locations, sizes
    )  # the square of the first is 50 to 150 of its 200 pixels
    assert places[0, 0].tolist() == [0.5, 0.5] and np.isnan(places[0, 1:]).all()
    found = object_sizes(locations, sizes)
    assert found[0] == pytest.approx(
        0.8
    )  # 80 pixels wide, the part outside the square counted; sides of 100 pixels
    assert np.isnan(found[1])  # one part has no size
    assert np.isnan(object_sizes(np.full((1, 2, 2), np.nan), sizes[:1])).all()
    assert np.isnan(
        object_sizes(np.full((1, 2, 2), 0.4), sizes[:1])
    ).all()  # two parts in one place neither


def test_random_chance_is_that_of_peaks_drawn_evenly():
    generator = np.random.default_rng(0)
    places = generator.uniform(0, 1, (20, 4, 2))
    places[generator.random((20, 4)) < 0.3] = np.nan
    annotated = Annotated(places, generator.uniform(0.5, 1, 20))
    sought = seek(annotated, ABOUT, np.ones((20, 5), bool), GROUPS)
    peaks = np.zeros((20, 5, 2))
    expected = measure(peaks, CELLS, annotated, sought)["random_fifth"]
    draws = 1500
    drawn = CELLS[generator.integers(0, HEIGHT * WIDTH, (draws, 20))]
    hits = np.zeros((20, 5))
    for points in drawn:
        hits += (near(points[:, None], annotated, 0.2) & ABOUT).any(axis=2)
    assert np.abs(hits / draws - expected).max() < 5 * np.sqrt(0.25 / draws)
    assert expected.max() > 0.1 and (expected[:, 4] == 0).all()


def test_blocks_change_nothing(monkeypatch):
    index = made_up_index()
    generator = np.random.default_rng(0)
    sizes = (index.boxes[:, 2:] - index.boxes[:, :2]).astype(float)
    annotated = Annotated(
        places_in_square(index.part_locations, sizes), object_sizes(index.part_locations, sizes)
    )
    sought = seek(annotated, ABOUT, np.ones((48, 5), bool), GROUPS)
    peaks = cell_peaks(generator, 48, 5).astype(float)
    whole = measure(peaks, CELLS, annotated, sought)
    monkeypatch.setattr("zslpipe.maps.localization.BLOCK", 7)
    for name, values in measure(peaks, CELLS, annotated, sought).items():
        assert np.array_equal(values, whole[name]), name


def test_a_coarse_grid_bounds_what_can_be_hit():
    annotated = Annotated(
        np.array([[[0.5, 0.5], [0.0, 0.9]], [[0.25, 0.25], [0.0, 0.9]]]), np.array([0.9, 0.9])
    )
    sought = seek(annotated, np.array([[True, False]]), np.ones((2, 1), bool), ("",))
    cells = centres_of_cells((2, 2), CellCentres(0.25, 0.5))
    found = measure(np.full((2, 1, 2), 0.25), cells, annotated, sought)
    assert found["best_tenth"][:, 0].tolist() == [False, True]
    assert found["random_tenth"][:, 0].tolist() == [0, 0.25]
    assert found["centre_tenth"][:, 0].tolist() == [True, False]
    assert found["tenth"][:, 0].tolist() == [False, True]


def test_part_maps_are_assigned_on_training_images_and_measured_on_test_images(tmp_path):
    index = made_up_index(2)
    generator = np.random.default_rng(2)
    sizes = (index.boxes[:, 2:] - index.boxes[:, :2]).astype(float)
    places = places_in_square(index.part_locations, sizes)
    trained = index.splits["trainval"]
    last = np.array([WIDTH, HEIGHT]) - 1

    def pointing_at(rows, parts):
        """Peaks in the cells of the first visible one of the parts, else anywhere."""
        peaks = cell_peaks(generator, len(rows), 1)[:, 0]
        for part in reversed(parts):
            shown = ~np.isnan(places[rows, part, 0])
            cells = np.clip(np.rint((places[rows, part][shown] - 0.05) / 0.15), 0, last)
            peaks[shown] = 0.05 + 0.15 * cells
        return peaks

    train_peaks = np.stack([pointing_at(trained, [2]), pointing_at(trained, [1, 3])], axis=1)
    peaks = cell_peaks(generator, 36, 2)
    content = localized(tmp_path, index, peaks, train_peaks)
    assert content["kind"] == "parts" and content["assigned"] == ["tail", "eye"]
    related = np.array([[0, 0, 1, 0], [0, 1, 0, 1]], bool)
    pairs = list(pairs_from_the_definition(index, peaks, related, lambda label, column: True))
    found = by_name(content)
    tests = np.concatenate([index.splits["test_seen"], index.splits["test_unseen"]])
    for images, seen in (("seen", True), ("unseen", False)):
        mine = [pair for pair in pairs if (index.labels[tests[pair[0]]] < 2) == seen]
        for of, name, columns in (
            ("overall", "", (0, 1)),
            ("part", "tail", (0,)),
            ("part", "eye", (1,)),
        ):
            chosen = [values for _, column, values in mine if column in columns]
            assert found[images, of, name]["pairs"] == len(chosen) > 0
            for key in MEASURES:
                assert found[images, of, name][key] == pytest.approx(
                    np.mean([values[key] for values in chosen])
                )
    assert len(found) == 6


def test_assignment_counts_images_in_plain_loops():
    generator = np.random.default_rng(5)
    parts = body_parts(made_up_index())
    places = generator.uniform(0, 1, (40, 4, 2))
    places[generator.random((40, 4)) < 0.3] = np.nan
    annotated = Annotated(places, generator.uniform(0.6, 1, 40))
    peaks = generator.uniform(0, 1, (40, 3, 2))
    peaks[:, 2] = 9.0  # never near anything
    expected = []
    for column in range(3):
        counts = [0, 0, 0]
        for image in range(40):
            for number, members in enumerate(((0,), (1, 3), (2,))):
                distances = [
                    np.hypot(*(peaks[image, column] - places[image, part])) for part in members
                ]
                counts[number] += any(
                    distance < 0.2 * annotated.sizes[image] for distance in distances
                )
        expected.append(counts.index(max(counts)) if max(counts) else None)
    assert assign(peaks, annotated, parts) == expected
    assert expected[2] is None


def test_a_map_near_no_part_is_left_out(tmp_path):
    index = made_up_index()
    index.part_locations[:] = np.array([[0.05, 0.06], [0.1, 0.2], [0.2, 0.1], [0.2, 0.2]])
    index.boxes[:, 2:] = index.boxes[:, :2] + 60
    cells = CELLS.astype(np.float32)
    train_peaks = np.broadcast_to(cells[[0, -1]], (12, 2, 2))
    content = localized(tmp_path, index, np.broadcast_to(cells[[0, -1]], (36, 2, 2)), train_peaks)
    assert content["assigned"][1] == "" and content["assigned"][0] != ""
    assert by_name(content)["seen", "overall", ""]["pairs"] == 12  # not 24: one of the two maps


def test_what_has_no_pair_has_no_entry(tmp_path):
    index = made_up_index()
    index.part_locations[index.splits["test_seen"]] = np.nan
    index.part_locations[:, 2] = np.nan  # no tail anywhere
    found = by_name(localized(tmp_path, index, cell_peaks(np.random.default_rng(0), 36, 5)))
    assert {images for images, _, _ in found} == {"unseen"}
    assert {(of, name) for _, of, name in found} == {
        *(("overall", ""), ("group", "head"), ("part", "beak"), ("part", "eye"))
    }
    assert all(share["pairs"] > 0 for share in found.values())


def test_datasets_without_annotation_are_refused(tmp_path):
    index = made_up_index()
    peaks = cell_peaks(np.random.default_rng(0), 36, 5)
    none = np.zeros((5, 4), bool)
    hidden = np.full_like(index.part_locations, np.nan)
    for changes, message in (
        ({"part_locations": None}, "'made up' has no annotated parts"),
        ({"part_locations": hidden}, "'made up' has no annotated parts"),
        ({"attribute_parts": none}, "no attribute of dataset 'made up' is about an annotated part"),
        (
            {"semantics": {"sent": np.eye(4)[:, :3] + 1}},
            "no class vectors with one column an attribute",
        ),
    ):
        with pytest.raises(InputError, match=message):
            localized(tmp_path, dataclasses.replace(index, **changes), peaks)
    assert not (tmp_path / "localization.json").exists()
