import numpy as np
import pytest
from scipy.special import log_softmax, softmax, xlogy

from moe_vae.compat import tf
from moe_vae.nn.losses import self_label_loss, x_log_x
from moe_vae.nn.sessions import open_session


def test_x_log_x_and_its_gradient_are_finite_at_0():
    x = np.array([0, 1e-30, 0.2, 1, 3], np.float32)
    with tf.Graph().as_default(), open_session() as session:
        tensor = tf.constant(x)
        value = x_log_x(tensor)
        found, gradient = session.run([value, tf.gradients(value, tensor)[0]])
    assert found == pytest.approx(xlogy(x, x), rel=1e-6)
    assert gradient == pytest.approx([0, *(np.log(x[1:]) + 1)], rel=1e-6)


def test_what_is_sure_teaches_and_all_clusters_count_alike():
    random = np.random.default_rng(0)
    certain, logits = 4 * random.standard_normal([40, 3]), random.standard_normal([40, 3])
    certain += np.array([4, 0, -1])  # the clusters have different sizes
    probs = softmax(certain, axis=1)
    labels, is_sure = probs.argmax(axis=1), probs.max(axis=1) >= 0.9
    losses = -log_softmax(logits, axis=1)[np.arange(40), labels]
    assert len({(labels[is_sure] == cluster).sum() for cluster in range(3)} - {0}) == 3
    expected = np.mean([losses[is_sure & (labels == cluster)].mean() for cluster in range(3)])
    with tf.Graph().as_default(), open_session() as session:
        given, of_views = (tf.constant(each, tf.float32) for each in (probs, logits))
        loss = self_label_loss(given, of_views, 0.9)
        assert tf.gradients(loss, given) == [None]
        assert session.run(loss) == pytest.approx(expected, rel=1e-5)
        assert session.run(self_label_loss(given, of_views, 1.0)) == 0
