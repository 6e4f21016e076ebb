import gc
import weakref

import numpy as np
import pytest
from scipy import stats

from moe_vae.compat import tf, tfd
from moe_vae.nn.noise import gumbel_noise, key_value, noise_key, noise_seed, normal_noise


@pytest.fixture
def graph():
    """Opens a session on a graph with two noise nodes of the same shape."""
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(0)
        nodes = [normal_noise([500, 40], name) for name in ("first", "second")]
        yield session, noise_key(), nodes


def draw(graph, key):
    session, key_tensor, nodes = graph
    return session.run(nodes, {key_tensor: key})


def test_one_key_gives_one_noise_and_another_key_another(graph):
    first = draw(graph, key_value(7, 1))
    np.testing.assert_array_equal(first, draw(graph, key_value(7, 1)))
    for other in (key_value(7, 2), key_value(8, 1), key_value(2**32 - 1, 2**32 - 1)):
        assert abs(np.corrcoef(first[0].ravel(), draw(graph, other)[0].ravel())[0, 1]) < 0.03


def test_the_nodes_of_a_graph_are_independent_under_one_key(graph):
    first, second = draw(graph, key_value(7, 1))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.03


def test_noise_is_standard_normal_over_keys_as_well_as_within_one(graph):
    within = draw(graph, key_value(3, 0))[0].ravel()
    over = np.array([draw(graph, key_value(3, number))[0][0, 0] for number in range(500)])
    for sample in (within, over):
        assert stats.kstest(sample, "norm").pvalue > 1e-3


def test_a_key_that_is_not_fed_is_drawn_afresh(graph):
    session, _, nodes = graph
    assert not np.array_equal(session.run(nodes[0]), session.run(nodes[0]))


@pytest.fixture
def gumbel():
    """The standard Gumbel noise of a graph's first node, and a weak reference to the graph."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        noise = gumbel_noise([2000, 7], "gumbel")
        return session.run(noise, {noise_key(): key_value(3, 5)}), weakref.ref(graph)


def test_gumbel_noise_is_that_of_tensorflow_probability(gumbel):
    with tf.Graph().as_default(), tf.Session() as session:
        theirs = tfd.Gumbel(0.0, 1.0).sample([2000, 7], seed=noise_seed())
        expected = session.run(theirs, {noise_key(): key_value(3, 5)})
    np.testing.assert_array_equal(gumbel[0], expected)
    assert stats.kstest(expected.ravel(), "gumbel_r").pvalue > 1e-3


def test_gumbel_noise_does_not_keep_its_graph(gumbel):
    gc.collect()
    assert gumbel[1]() is None
