"""What a step of post 3 must take on this machine: its products, Adam, and one look at a pixel."""

import time

import numpy as np

from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_PIXELS
from moe_vae.nn.sessions import session_config
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS, N_EXPERTS

__all__ = ["inked_pixels", "measure_floor"]

N_REPEATS = 30
N_PIECES = 10  # in which Adam's parameters lie, so that several cores can share them
N_BATCHES = 100


def inked_pixels(images, batch_size, seed=0):
    """Returns how many pixels are not blank in a whole batch, the mean over 100 random batches.

    Args:
      images: float array [n, 784].
      batch_size: number of images in a batch, at most n.
      seed: seed of the batches.
    """
    generator = np.random.default_rng(seed)
    batches = (generator.choice(len(images), batch_size, replace=False) for _ in range(N_BATCHES))
    return float(np.mean([images[rows].any(axis=0).sum() for rows in batches]))


def measure_floor(images):
    """Measures the parts of a training step that no layout of the operations can do without.

    These are the large products (first and last layers, forward and backward) at the rate that
    single products have here, Adam on all parameters, and one sigmoid for each decoded pixel. The
    products of the first layers are measured once with all pixels, as the plain graph has them,
    and once with as many as the fused one needs.

    Args:
      images: float array [n, 784], the training set.

    Returns:
      Dict of `pixels`, dict of the two numbers of pixels; `flop`, `products` (seconds a step) and
      `rate` (FLOP a second), dicts with one value for each; `adam` and `sigmoid`, seconds a step;
      and `step`, a dict of the sums.
    """
    batch_size = MIXTURE_OF_VAES_PARAMS["batch_size"]
    pixels = {
        "all": IMAGE_PIXELS,
        "without_blanks": round(inked_pixels(images, batch_size)),
    }
    products = {name: _time(_products(batch_size, n)) for name, n in pixels.items()}
    flop = {name: _flop(batch_size, n) for name, n in pixels.items()}
    adam, sigmoid = _time(_adam), _time(_sigmoids(batch_size))
    return {
        "pixels": pixels,
        "flop": flop,
        "products": products,
        "rate": {name: flop[name] / products[name] for name in pixels},
        "adam": adam,
        "sigmoid": sigmoid,
        "step": {name: products[name] + adam + sigmoid for name in pixels},
    }


def _sizes():
    (n_encoder,), (n_decoder,), (n_manager,) = (
        MIXTURE_OF_VAES_PARAMS[name]
        for name in ("encoder_layers", "decoder_layers", "manager_layers")
    )
    return n_encoder, n_decoder, n_manager


def _flop(batch_size, n_pixels):
    n_encoder, n_decoder, n_manager = _sizes()
    first = 2 * batch_size * n_pixels * (N_EXPERTS * n_encoder + n_manager)
    last = 2 * batch_size * IMAGE_PIXELS * n_decoder * N_EXPERTS
    return 2 * first + 3 * last


def _products(batch_size, n_pixels):
    n_encoder, n_decoder, n_manager = _sizes()

    def build():
        x, by_h = _filled(n_pixels, batch_size), _filled(batch_size, n_encoder * N_EXPERTS // 2)
        first = _filled(n_pixels, n_encoder * N_EXPERTS // 2)
        manager, by_manager = _filled(n_pixels, n_manager), _filled(batch_size, n_manager)
        products = []
        for weights, upstream in ((first, by_h), (first, by_h), (manager, by_manager)):
            products += [tf.matmul(x, weights, transpose_a=True), x @ upstream]
        for _ in range(N_EXPERTS):
            h, last = _filled(batch_size, n_decoder), _filled(n_decoder, IMAGE_PIXELS)
            by_pixels = _filled(batch_size, IMAGE_PIXELS)
            products += [
                h @ last,
                tf.matmul(by_pixels, last, transpose_b=True),
                tf.matmul(h, by_pixels, transpose_a=True),
            ]
        return products

    return build


def _adam():
    n_encoder, n_decoder, n_manager = _sizes()
    n_expert = (n_encoder + n_decoder) * IMAGE_PIXELS  # the large layers; the rest is a hundredth
    n_parameters = N_EXPERTS * n_expert + n_manager * IMAGE_PIXELS
    constants = {"beta1_power": 0.5, "beta2_power": 0.5, "lr": 0.001}
    constants |= {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    steps = []
    for _ in range(N_PIECES):
        var, m, v, grad = (_filled(n_parameters // N_PIECES) for _ in range(4))
        slots = {"var": var.handle, "m": m.handle, "v": v.handle}
        steps.append(tf.raw_ops.ResourceApplyAdam(**slots, **constants, grad=grad.read_value()))
    return steps


def _sigmoids(batch_size):
    return lambda: [tf.sigmoid(_filled(batch_size, IMAGE_PIXELS)) for _ in range(N_EXPERTS)]


def _filled(*shape):
    return tf.Variable(tf.random_uniform(shape, 0.1, 0.2), use_resource=True)


def _time(build):
    """Returns the median seconds of one run of what `build` returns, on all cores."""
    with tf.Graph().as_default() as graph:
        work = tf.group(*build())
        config = session_config()
        # Or else what nobody reads would be left out.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = -1
        with tf.Session(graph=graph, config=config) as session:
            session.run(tf.global_variables_initializer())
            run, seconds = session.make_callable(work), []
            for _ in range(3 + N_REPEATS):
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[3:]))
