"""Ridge regression learns what there is, and knows what it would say of a sample without it."""

import numpy as np
import pytest

from aesthetic_mllm.personalization.ridge import KernelRidge, Ridge


def test_ridge_finds_a_linear_law() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 120))
    targets = features[:, :2] @ np.array([[1.0, 2.0], [-3.0, 0.5]]) + 5
    ridge = Ridge(features[:60], targets[:60])
    assert np.corrcoef(ridge(features[60:])[:, 0], targets[60:, 0])[0, 1] > 0.5
    tall = Ridge(features[:, :10], targets)
    assert np.abs(tall(features[:, :10]) - targets).max() < 0.2


def test_one_strength_is_the_closed_form() -> None:
    """Of more photos than features and of fewer; one target or several."""
    rng = np.random.default_rng(1)
    for shape in ((50, 8), (8, 50)):
        features, target = rng.normal(size=shape), rng.normal(size=shape[0])
        standard = (features - features.mean(0)) / (features.std(0) + 1e-6)
        weights = np.linalg.solve(standard.T @ standard + 3 * np.eye(shape[1]), standard.T @ (target - target.mean()))
        ridge = Ridge(features, target, alphas=(3.0,))
        assert ridge.alpha == 3.0
        np.testing.assert_allclose(ridge(features), standard @ weights + target.mean(), atol=1e-8)
        np.testing.assert_allclose(Ridge(features, np.stack([target] * 2, axis=1), (3.0,))(features)[:, 1], ridge(features))


def test_the_strength_is_that_of_the_least_leave_one_out_error() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(30, 5))
    target = features[:, 0] + rng.normal(size=30)
    errors = {}
    for alpha in (1.0, 10.0, 1e3):
        standard = (features - features.mean(0)) / (features.std(0) + 1e-6)
        centred = target - target.mean()
        left = []
        for out in range(30):
            kept = np.arange(30) != out
            weights = np.linalg.solve(standard[kept].T @ standard[kept] + alpha * np.eye(5), standard[kept].T @ centred[kept])
            left.append(centred[out] - standard[out] @ weights)
        errors[alpha] = np.square(left).sum()
    assert Ridge(features, target, tuple(errors)).alpha == min(errors, key=errors.get)  # type: ignore[arg-type]


def test_a_linear_kernel_is_the_regression_on_features() -> None:
    """The same weights as in the space of features; what is left out is the fit without that sample."""
    rng = np.random.default_rng(3)
    features, target = rng.normal(size=(12, 4)), rng.normal(size=12)
    fitted = KernelRidge(features @ features.T, target, alpha=2.0)
    np.testing.assert_allclose(
        features.T @ fitted.weights, np.linalg.solve(features.T @ features + 2 * np.eye(4), features.T @ target)
    )
    rest = features[1:]
    without = KernelRidge(rest @ rest.T, target[1:], alpha=2.0)
    assert fitted.left_out[0] == pytest.approx(features[0] @ rest.T @ without.weights)
