import numpy as np
import pytest

from moe_vae.compat import tf
from moe_vae.data.checks import DataError
from moe_vae.nn.sessions import CHUNK_SIZE, chunks, run_in_chunks


@pytest.mark.parametrize("n_examples", [1, 6, 7, 8, 20, 21, 22])
def test_chunks_cover_all_examples_once_and_in_order(n_examples):
    parts = [np.arange(100)[rows] for rows in chunks(n_examples, 7)]
    assert np.concatenate(parts).tolist() == list(range(n_examples))
    assert [len(part) for part in parts[:-1]] == [7] * ((n_examples - 1) // 7)
    assert 1 <= len(parts[-1]) <= 7


@pytest.mark.parametrize("n_examples", [1, CHUNK_SIZE, 2 * CHUNK_SIZE + 3])
def test_a_result_in_chunks_is_the_result_in_one_piece(n_examples):
    x, y = np.random.default_rng(0).random([2, n_examples, 3]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        x_in, y_in = (tf.placeholder(tf.float32, [None, 3]) for _ in range(2))
        factor = tf.placeholder(tf.float32, [3])
        sizes = tf.fill([tf.shape(x_in)[0]], tf.shape(x_in)[0])
        feed, fixed = {x_in: x, y_in: y}, {factor: [1, 2, 3]}
        result = run_in_chunks(session, x_in * factor - y_in, feed, fixed)
        size = run_in_chunks(session, sizes, {x_in: x})
    np.testing.assert_allclose(result, x * [1, 2, 3] - y, atol=1e-6)
    assert len(size) == n_examples
    assert size.max() == min(n_examples, CHUNK_SIZE)


def test_no_rows_are_refused_by_the_inputs_name():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], "codes")
        with pytest.raises(DataError, match=r"^'codes' has 0 rows: it must have at least 1$"):
            run_in_chunks(session, 2 * x, {x: np.zeros([0, 3])})
