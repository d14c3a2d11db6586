"""ESZSL against the objective that its closed form minimises."""

import numpy as np
import torch
from torch import Tensor

from zslpipe.methods.eszsl import Config, Model, train
from zslpipe.training.contract import Classes, TrainingData, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
SEEN = torch.tensor([True, False, True, True, False])
WIDTH, ATTRIBUTES, IMAGES = 6, 4, 30


def case() -> tuple[Classes, Tensor, Tensor]:
    """Return classes, features (n, d) and labels, all of seen classes."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.rand(len(SEEN), ATTRIBUTES, generator=generator)
    classes = Classes(tuple("abcde"), vectors, SEEN, tuple("wxyz"))
    labels = torch.tensor([0, 2, 3])[torch.randint(3, (IMAGES,), generator=generator)]
    return classes, torch.randn(IMAGES, WIDTH, generator=generator), labels


def solved(config: Config, tmp_path) -> Model:
    classes, features, labels = case()
    model = Model(config, classes, (WIDTH,))
    data = TrainingData(
        Held(features),
        torch.arange(IMAGES),
        labels,
        classes,
        TrainingRun(0, torch.device("cpu"), tmp_path),
    )
    train(model, config, data)
    return model


def matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return X of unit rows, Y in {0, 1} by a loop, S of the seen classes, float64."""
    classes, features, labels = case()
    features = features.double().numpy()
    features = np.stack([row / np.sqrt(np.sum(row**2)) for row in features])
    seen = np.flatnonzero(SEEN.numpy())
    own = np.zeros((len(labels), len(seen)))
    for row, label in enumerate(labels.tolist()):
        for column, number in enumerate(seen):
            own[row, column] = float(label == number)
    return features, own, classes.attributes[SEEN].double().numpy()


def objective(weights: np.ndarray, gamma: float, lam: float) -> float:
    """Return the paper's objective: |X W S' - Y|^2 + gamma |W S'|^2 + lambda |X W|^2 + gamma lambda
    |W|^2.
    """
    features, own, signatures = matrices()
    terms = [
        np.sum((features @ weights @ signatures.T - own) ** 2),
        gamma * np.sum((weights @ signatures.T) ** 2),
        lam * np.sum((features @ weights) ** 2),
        gamma * lam * np.sum(weights**2),
    ]
    return float(sum(terms))


def test_weights_are_equation_6(tmp_path):
    gamma, lam = 0.3, 2.0
    features, own, signatures = matrices()
    left = np.linalg.inv(features.T @ features + gamma * np.eye(WIDTH))
    right = np.linalg.inv(signatures.T @ signatures + lam * np.eye(ATTRIBUTES))
    expected = left @ features.T @ own @ signatures @ right
    np.testing.assert_allclose(
        solved(Config(gamma, lam), tmp_path).W.numpy(), expected, rtol=0, atol=1e-6
    )


def test_each_side_is_decomposed_once_for_all_pairs(tmp_path, monkeypatch):
    classes, features, labels = case()
    run = TrainingRun(0, torch.device("cpu"), tmp_path)
    held, rows = Held(features), torch.arange(IMAGES)
    decomposed, eigh = [], torch.linalg.eigh

    def counted(matrix: Tensor) -> tuple[Tensor, Tensor]:
        decomposed.append(len(matrix))
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", counted)
    whole, own, signatures = matrices()
    for gamma, lam in ((0.001, 1000.0), (0.3, 2.0), (1000.0, 0.001)):
        config = Config(gamma, lam)
        model = Model(config, classes, (WIDTH,))
        train(model, config, TrainingData(held, rows, labels, classes, run))
        left = np.linalg.inv(whole.T @ whole + gamma * np.eye(WIDTH))
        right = np.linalg.inv(signatures.T @ signatures + lam * np.eye(ATTRIBUTES))
        expected = left @ whole.T @ own @ signatures @ right
        np.testing.assert_allclose(model.W.numpy(), expected, rtol=1e-4, atol=1e-9)
    assert decomposed == [WIDTH, ATTRIBUTES]
    # Other images are another problem.
    fewer = torch.arange(IMAGES // 2)
    model, config = Model(Config(), classes, (WIDTH,)), Config()
    train(model, config, TrainingData(held, fewer, labels[fewer], classes, run))
    assert decomposed == [WIDTH, ATTRIBUTES] * 2
    half, theirs = whole[: IMAGES // 2], own[: IMAGES // 2]
    left = np.linalg.inv(half.T @ half + np.eye(WIDTH))
    right = np.linalg.inv(signatures.T @ signatures + np.eye(ATTRIBUTES))
    expected = left @ half.T @ theirs @ signatures @ right
    np.testing.assert_allclose(model.W.numpy(), expected, rtol=1e-4, atol=1e-7)


def test_no_small_step_improves_the_objective(tmp_path):
    gamma, lam, step = 0.3, 2.0, 1e-3
    weights = solved(Config(gamma, lam), tmp_path).W.double().numpy()
    for position in np.ndindex(weights.shape):
        change = np.zeros_like(weights)
        change[position] = step
        slope = (
            objective(weights + change, gamma, lam) - objective(weights - change, gamma, lam)
        ) / (2 * step)
        assert abs(slope) < 1e-4
        assert objective(weights + change, gamma, lam) > objective(weights, gamma, lam)


def test_many_images_are_read_in_parts(tmp_path, monkeypatch):
    whole = solved(Config(), tmp_path).W.clone()
    monkeypatch.setattr("zslpipe.methods.eszsl.BATCH", 7)
    torch.testing.assert_close(solved(Config(), tmp_path).W, whole, rtol=0, atol=1e-6)


def test_scores_are_bilinear_and_features_of_any_length(tmp_path):
    model = solved(Config(), tmp_path)
    classes, features, _ = case()
    row = features[3] / features[3].norm()
    expected = [float(row @ model.W @ vector) for vector in classes.attributes]
    np.testing.assert_allclose(model.scores(features)[3].numpy(), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        model.scores(7 * features), model.scores(features), rtol=0, atol=1e-6
    )


def test_labels_are_one_for_the_own_class_and_zero_for_others(tmp_path):
    """Orthonormal features and class vectors: hardly regularised, scores of training images are Y
    itself.
    """
    seen = torch.ones(3, dtype=torch.bool)
    classes = Classes(tuple("abc"), torch.eye(3), seen, tuple("xyz"))
    model = Model(Config(1e-9, 1e-9), classes, (3,))
    labels = torch.tensor([2, 0, 1])
    data = TrainingData(
        Held(torch.eye(3)),
        torch.arange(3),
        labels,
        classes,
        TrainingRun(0, torch.device("cpu"), tmp_path),
    )
    train(model, Config(1e-9, 1e-9), data)
    expected = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(model.scores(torch.eye(3)), expected, rtol=0, atol=1e-6)
