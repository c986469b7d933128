import numpy as np
import pytest

from patchrl.runs.projection import project


def test_the_plane_is_that_of_the_covariance_eigenvectors():
    vectors_ND = np.random.default_rng(0).normal(size=(60, 5)) * [5, 3, 1, 0.5, 0.1]
    plane = project({"expert": vectors_ND[:30], "own": vectors_ND[30:]})
    values, axes = np.linalg.eigh(np.cov(vectors_ND.T))
    expected = (vectors_ND - vectors_ND.mean(0)) @ axes[:, ::-1][:, :2]
    projected = np.concatenate([plane.points["expert"], plane.points["own"]])
    assert np.abs(projected) == pytest.approx(np.abs(expected))
    assert plane.explained == pytest.approx(values[::-1][:2] / values.sum())


def test_the_first_source_lies_right_and_above():
    vectors_ND = np.random.default_rng(1).normal(size=(40, 6))
    for sign in (1, -1):
        plane = project({"expert": sign * vectors_ND[:20], "own": sign * vectors_ND[20:]})
        assert (plane.points["expert"].mean(0) >= 0).all()


@pytest.mark.parametrize("vectors", [{}, {"expert": np.ones((2, 8))}, {"expert": np.ones((9, 8))}])
def test_too_little_to_draw_is_no_plane(vectors):
    assert project(vectors) is None
