import numpy as np
import pytest

from saelab.errors import SaelabError
from saelab.evaluation import fit_scaling
from saelab.evaluation.scaling import ScalingLaw

N, K = (x.ravel() for x in np.meshgrid([512, 1024, 2048, 4096], [8, 16, 32, 64]))


def law(alpha, beta_k, beta_n, gamma, zeta, eta):
    loss = np.exp(alpha + beta_k * np.log(K) + beta_n * np.log(N) + gamma * np.log(K) * np.log(N))
    return loss + np.exp(zeta + eta * np.log(K))


def test_a_law_without_noise_is_found_again():
    loss = law(-0.5, 0.26, -0.017, -0.042, -1.32, -0.085)  # the published numbers for GPT-4
    found = fit_scaling(N, K, loss)
    assert found.error < 2e-3
    assert found(3000, 24) == pytest.approx(
        float(np.exp(-0.5 + 0.26 * np.log(24) - 0.017 * np.log(3000) - 0.042 * np.log(24) * np.log(3000))
        + np.exp(-1.32 - 0.085 * np.log(24))), rel=5e-3,
    )  # fmt: skip
    np.testing.assert_allclose(found.points.predicted, loss, rtol=1e-2)
    np.testing.assert_allclose(found(N, K), found.points.predicted)


def test_noise_shows_in_the_error_and_more_in_the_points_left_out():
    noise = np.random.default_rng(0).normal(size=len(N)) * 0.05
    found = fit_scaling(N, K, law(1.0, -0.4, -0.3, 0.01, -4.0, -0.2) * np.exp(noise))
    assert 0.02 < found.error < 0.05
    assert found.left_out > found.error


def test_the_law_shows_its_numbers():
    found = fit_scaling(N, K, law(1.0, -0.4, -0.3, 0.01, -4.0, -0.2))
    assert isinstance(found, ScalingLaw)
    assert "L(n, k) = exp(" in repr(found)
    assert "16 SAEs" in repr(found)
    figure = found.plot()
    assert len(figure.data) == 8
    assert figure.layout.xaxis.type == "log"


def test_too_little_is_refused():
    with pytest.raises(SaelabError, match="at least 8 SAEs"):
        fit_scaling(N[:7], K[:7], np.ones(7))
    with pytest.raises(SaelabError, match="with 1 and 4|got 8 with"):
        fit_scaling([512] * 8, list(K[:4]) * 2, np.ones(8))
    with pytest.raises(SaelabError, match="positive"):
        fit_scaling(N, K, np.zeros(16))
