"""The two posts' models and training loops under TensorFlow 1.15, for which they were written.

One run is one post from one seed at the post's full settings. After each epoch come the losses
over the 55,000 training images, a chunk of them at a time, and what the post draws from one code.

Usage, under Python 3.7 with TensorFlow 1.15 and NumPy:

    python3.7 benchmarks/tensorflow_1_posts.py POST --seed SEED [--data DIR] [--out FILE.npz]

POST is conditional-vae (post 2) or mixture-of-vaes (post 3), DIR holds MNIST's four IDX files,
gzipped or not. FILE.npz appears when the run is over and holds

    record       JSON: command, model, seed, params, versions, and one value an epoch of each loss
                 (`history`), of the training steps' seconds (`seconds`) and of those that the
                 losses over the training images take (`evaluation_seconds`); `test_losses`
    predictions  uint8 [epochs, 10000]: the digit classifier's likeliest digit (post 2) or the
                 manager's likeliest expert (post 3) for each test image, after each epoch
    pictures     float32 [2000, 784], post 2 only: 200 pictures of each digit, 0 to 9 in turn,
                 from the codes that `moe_vae.evaluation.conditional_vae.score_generation` takes

The script `compare_posts.py` makes results/tensorflow_1_15_seeds.json of such files.
"""

import argparse
import gzip
import json
import os
import platform
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.pop("TF2_BEHAVIOR", None)  # TensorFlow 2 sets it, and its child processes inherit it

import numpy as np
import tensorflow as tf

INPUT_SIZE = 784
NUM_DIGITS = 10
VALIDATION_SIZE = 5000
CHUNK_SIZE = 500  # images of one evaluation, so that ten experts' activations stay small
PICTURES_A_DIGIT = 200


# MNIST.


def read_idx(directory, name):
    """Returns what an IDX file holds, a uint8 array, without a check of its content."""
    path = directory / name
    if path.exists():
        content = path.read_bytes()
    else:
        content = gzip.decompress(path.with_name(f"{name}.gz").read_bytes())
    n_axes = content[3]
    shape = np.frombuffer(content, ">u4", count=n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def read_images(directory, name):
    """Returns float32 images [n, 784] in [0, 1]."""
    images = read_idx(directory, name).reshape(-1, INPUT_SIZE).astype(np.float32)
    return np.multiply(images, 1.0 / 255.0)


class DataSet:
    """Images and labels in shuffled batches, in the order of TensorFlow's tutorial module.

    That module shuffled its arrays before the first batch and whenever they ran out, by NumPy's
    global generator; here the order is shuffled and the arrays stay.
    """

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.num_examples = len(images)
        self._order = np.arange(self.num_examples)
        self._position = None

    def next_batch(self, batch_size):
        """Returns the next images [batch_size, 784] and labels [batch_size]."""
        if self._position is None:
            self._shuffle()
            self._position = 0
        rows = self._order[self._position : self._position + batch_size]
        self._position += len(rows)
        if len(rows) < batch_size:
            self._shuffle()
            self._position = batch_size - len(rows)
            rows = np.concatenate([rows, self._order[: self._position]])
        return self.images[rows], self.labels[rows]

    def _shuffle(self):
        permutation = np.arange(self.num_examples)
        np.random.shuffle(permutation)
        self._order = self._order[permutation]


def read_data_sets(directory):
    """Returns the training and the test set; the validation images between them are left out."""
    images = read_images(directory, "train-images-idx3-ubyte")
    labels = read_idx(directory, "train-labels-idx1-ubyte")
    return (
        DataSet(images[VALIDATION_SIZE:], labels[VALIDATION_SIZE:]),
        DataSet(
            read_images(directory, "t10k-images-idx3-ubyte"),
            read_idx(directory, "t10k-labels-idx1-ubyte"),
        ),
    )


# The parts of both posts' networks.


def hidden_layers(x, sizes):
    for size in sizes:
        x = tf.layers.dense(x, size, activation=tf.nn.sigmoid)
    return x


def gaussian_code(h, z_dim):
    return tf.layers.dense(h, z_dim), 1e-5 + tf.exp(tf.layers.dense(h, z_dim))


def reparametrise(mu, var):
    return mu + tf.sqrt(var) * tf.random_normal(tf.shape(mu))


def auto_encoder_losses(images, decoded, mu, var, std):
    """Returns reconstruction loss plus divergence from the prior, in nats, [batch]."""
    log_prob = tf.distributions.Normal(loc=decoded, scale=std).log_prob(images)
    kl = -0.5 * tf.reduce_sum(1 + tf.log(var) - tf.square(mu) - var, axis=1)
    return -tf.reduce_sum(log_prob, axis=1) + kl


class ConditionalVAE:
    """Post 2: a VAE whose decoder is told the digit, which is predicted from the image.

    Attributes, beside the post's tensors:
      probs: what the prediction of a test image is the argmax of.
      by_image: dict of tensors [batch, ...] from whose sums `losses` follow.
    """

    params = {  # noqa: RUF012
        "encoder_layers": [128],
        "decoder_layers": [128],
        "digit_classification_layers": [128],
        "activation": "sigmoid",
        "decoder_std": 0.5,
        "z_dim": 10,
        "digit_classification_weight": 10.0,
        "epochs": 20,
        "batch_size": 100,
        "learning_rate": 0.001,
    }

    def __init__(self):
        params = self.params
        self.images = tf.placeholder(tf.float32, [None, INPUT_SIZE])
        self.digits = tf.placeholder(tf.int32, [None])

        mu, var = gaussian_code(
            hidden_layers(self.images, params["encoder_layers"]), params["z_dim"]
        )
        self.z = reparametrise(mu, var)
        h = hidden_layers(self.images, params["digit_classification_layers"])
        digit_logits = tf.layers.dense(h, NUM_DIGITS)
        self.probs = tf.nn.softmax(digit_logits)
        h = hidden_layers(tf.concat([self.z, self.probs], axis=1), params["decoder_layers"])
        self.decoded_images = tf.layers.dense(h, INPUT_SIZE, activation=tf.nn.sigmoid)

        auto_encode = auto_encoder_losses(
            self.images, self.decoded_images, mu, var, params["decoder_std"]
        )
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=self.digits, logits=digit_logits
        )
        self.by_image = {"auto_encode": auto_encode, "cross_entropy": cross_entropy}
        self.loss = tf.reduce_mean(auto_encode) + params[
            "digit_classification_weight"
        ] * tf.reduce_mean(cross_entropy)

    def feed(self, images, labels):
        return {self.images: images, self.digits: labels}

    def losses(self, sums, n_images):
        """Returns the post's losses of `n_images` images from the sums over them."""
        auto_encode = sums["auto_encode"] / n_images
        classifier = self.params["digit_classification_weight"] * sums["cross_entropy"] / n_images
        return {
            "loss_auto_encode": auto_encode,
            "loss_digit_classifier": classifier,
            "loss": auto_encode + classifier,
        }

    def draw(self, session, z):
        """Draws the ten digits from one code."""
        return self.generate(session, np.tile(z, [NUM_DIGITS, 1]), np.arange(NUM_DIGITS))

    def generate(self, session, z, digits):
        feed = {self.z: z, self.probs: np.eye(NUM_DIGITS)[digits]}
        return session.run(self.decoded_images, feed)

    def final_arrays(self, session):
        digits = np.repeat(np.arange(NUM_DIGITS), PICTURES_A_DIGIT)
        z = np.random.default_rng(0).standard_normal([len(digits), self.params["z_dim"]])
        return {"pictures": self.generate(session, z, digits)}


class VAE:
    """One expert of post 3; its losses are [batch]."""

    def __init__(self, params, images, number):
        self._params, self._number = params, number
        mu, var = self.encode(images)
        self.z = reparametrise(mu, var)
        self.decoded_images = self.decode(self.z)
        self.loss = auto_encoder_losses(images, self.decoded_images, mu, var, params["decoder_std"])

    def encode(self, images):
        with tf.variable_scope(f"encode_{self._number}", reuse=tf.AUTO_REUSE):
            h = hidden_layers(images, self._params["encoder_layers"])
            return gaussian_code(h, self._params["z_dim"])

    def decode(self, z):
        with tf.variable_scope(f"decode_{self._number}", reuse=tf.AUTO_REUSE):
            h = hidden_layers(z, self._params["decoder_layers"])
            return tf.layers.dense(h, INPUT_SIZE, activation=tf.nn.sigmoid)


class MixtureOfVAEs:
    """Post 3: ten VAEs and the manager that weights them; attributes as in `ConditionalVAE`.

    The post adds new operations for its pictures in every epoch. Here the code is fed to the
    decoders that are there, and the graph stays the same.
    """

    params = {  # noqa: RUF012
        "manager_layers": [128],
        "encoder_layers": [128],
        "decoder_layers": [128],
        "activation": "sigmoid",
        "decoder_std": 0.5,
        "z_dim": 10,
        "balancing_weight": 0.1,
        "epochs": 100,
        "batch_size": 100,
        "learning_rate": 0.001,
    }

    def __init__(self):
        self.images = tf.placeholder(tf.float32, [None, INPUT_SIZE])
        self.experts = [VAE(self.params, self.images, number) for number in range(NUM_DIGITS)]
        with tf.variable_scope("prob", reuse=tf.AUTO_REUSE):
            h = hidden_layers(self.images, self.params["manager_layers"])
            self.probs = tf.nn.softmax(tf.layers.dense(h, NUM_DIGITS))

        expert_losses = tf.stack([expert.loss for expert in self.experts], axis=1)
        expected = tf.reduce_sum(self.probs * expert_losses, axis=1)
        self.by_image = {"expected": expected, "probs": self.probs}
        _, balancing_loss = tf.nn.moments(tf.reduce_sum(self.probs, axis=0), [0])
        self.loss = tf.reduce_mean(expected) + self.params["balancing_weight"] * balancing_loss

    def feed(self, images, labels):
        del labels
        return {self.images: images}

    def losses(self, sums, n_images):
        """Returns the post's losses of `n_images` images from the sums over them."""
        expected, balancing = sums["expected"] / n_images, sums["probs"].var()
        return {
            "expected_expert_loss": expected,
            "balancing_loss": balancing,
            "loss": expected + self.params["balancing_weight"] * balancing,
        }

    def draw(self, session, z):
        """Lets every expert draw one code."""
        feed = {expert.z: z for expert in self.experts}
        return session.run([expert.decoded_images for expert in self.experts], feed)

    def final_arrays(self, session):
        return {}


MODELS = {"conditional-vae": ConditionalVAE, "mixture-of-vaes": MixtureOfVAEs}


# Training.


def evaluate(session, model, data_set):
    """Returns the post's losses over a whole data set, summed in double precision."""
    sums = dict.fromkeys(model.by_image, 0.0)
    for start in range(0, data_set.num_examples, CHUNK_SIZE):
        rows = slice(start, start + CHUNK_SIZE)
        feed = model.feed(data_set.images[rows], data_set.labels[rows])
        for name, values in session.run(model.by_image, feed).items():
            sums[name] = sums[name] + values.sum(axis=0, dtype=np.float64)
    losses = model.losses(sums, data_set.num_examples)
    return {name: float(value) for name, value in losses.items()}


def predict(session, model, images):
    """Returns each image's likeliest digit or expert, uint8 [n]."""
    return session.run(model.probs, {model.images: images}).argmax(axis=1).astype(np.uint8)


def run(post, seed, directory):
    """Trains one post's model; returns the record, for JSON, and dict of name to array."""
    np.random.seed(seed)
    tf.set_random_seed(seed)
    train_set, test_set = read_data_sets(directory)
    model = MODELS[post]()
    params = model.params
    train_op = tf.train.AdamOptimizer(params["learning_rate"]).minimize(model.loss)
    history, seconds, evaluation_seconds, predictions = {}, [], [], []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.get_default_graph().finalize()
        for epoch in range(params["epochs"]):
            start = time.perf_counter()
            for _ in range(train_set.num_examples // params["batch_size"]):
                session.run(train_op, model.feed(*train_set.next_batch(params["batch_size"])))
            seconds.append(time.perf_counter() - start)

            start = time.perf_counter()
            losses = evaluate(session, model, train_set)
            evaluation_seconds.append(time.perf_counter() - start)
            for name, value in losses.items():
                history.setdefault(name, []).append(value)
            predictions.append(predict(session, model, test_set.images))

            # The pictures are not kept, but the draw advances the generator that shuffles.
            model.draw(session, np.random.normal(size=[1, params["z_dim"]]))
            values = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
            times = f"{seconds[-1]:.2f} s and {evaluation_seconds[-1]:.2f} s"
            print(f"{post} {seed}, epoch {epoch + 1}: {values} ({times})", flush=True)
        test_losses = evaluate(session, model, test_set)
        arrays = {"predictions": np.stack(predictions), **model.final_arrays(session)}
    record = {
        "command": " ".join(["python3.7", *sys.argv]),
        "model": post,
        "seed": seed,
        "params": params,
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
        "history": history,
        "seconds": seconds,
        "evaluation_seconds": evaluation_seconds,
        "test_losses": test_losses,
    }
    return record, arrays


def main():
    tf.logging.set_verbosity(tf.logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("post", choices=sorted(MODELS))
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, default=Path("MNIST_data"), help="default: MNIST_data")
    parser.add_argument("--out", type=Path, help="default: runs/tensorflow_1_15/POST-SEED.npz")
    arguments = parser.parse_args()
    out = arguments.out or Path(f"runs/tensorflow_1_15/{arguments.post}-{arguments.seed}.npz")
    record, arrays = run(arguments.post, arguments.seed, arguments.data)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"{out.stem}.part.npz")
    np.savez_compressed(partial, record=json.dumps(record), **arrays)
    partial.replace(out)


if __name__ == "__main__":
    main()
