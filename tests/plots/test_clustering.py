"""Figures of a clustering."""

import numpy as np

from moe_vae.plots import clustering


def test_equal_codes_have_a_plane():
    """A network whose units are all off gives each example one code."""
    plane = clustering._embed(np.ones([120, 3], np.float32))
    assert plane.shape == (120, 2)
    assert np.isfinite(plane).all()
