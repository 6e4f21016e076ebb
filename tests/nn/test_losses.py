import numpy as np
import pytest
from scipy.special import xlogy

from moe_vae.compat import tf
from moe_vae.nn.losses import x_log_x
from moe_vae.nn.sessions import open_session


def test_x_log_x_and_its_gradient_are_finite_at_0():
    x = np.array([0, 1e-30, 0.2, 1, 3], np.float32)
    with tf.Graph().as_default(), open_session() as session:
        tensor = tf.constant(x)
        value = x_log_x(tensor)
        found, gradient = session.run([value, tf.gradients(value, tensor)[0]])
    assert found == pytest.approx(xlogy(x, x), rel=1e-6)
    assert gradient == pytest.approx([0, *(np.log(x[1:]) + 1)], rel=1e-6)
