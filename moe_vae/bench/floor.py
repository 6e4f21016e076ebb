"""The least time of post 3's step here: matrix products, Adam, and a sigmoid for each pixel."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from moe_vae.compat import Tensor, tf
from moe_vae.data.checks import IMAGE_PIXELS
from moe_vae.nn.sessions import session_config
from moe_vae.posts.mixture_of_vaes import MIXTURE_OF_VAES_PARAMS

__all__ = ["inked_pixels", "measure_floor", "step_flop"]

N_EXPERTS = MIXTURE_OF_VAES_PARAMS["n_experts"]
N_REPEATS = 30
N_WARM_UP = 3  # runs that do not count
N_PIECES = 10  # of Adam's parameters, so that several cores can share them
N_BATCHES = 100

# A function that adds operations to the current graph and returns them.
Build = Callable[[], list[Tensor]]


def inked_pixels(images: np.ndarray, batch_size: int, seed: int = 0) -> float:
    """Returns the mean number of pixels that are not blank in a whole batch, over 100 batches.

    Args:
      images: float array [n, 784].
      batch_size: number of images in a batch, at most n.
      seed: seed of the batches.
    """
    generator = np.random.default_rng(seed)
    batches = (generator.choice(len(images), batch_size, replace=False) for _ in range(N_BATCHES))
    return float(np.mean([images[rows].any(axis=0).sum() for rows in batches]))


def measure_floor(images: np.ndarray) -> dict[str, Any]:
    """Measures the parts of a training step that no layout of the operations can avoid.

    These are the large products (first and last layers, forward and backward) at the rate of
    single products on this machine, Adam on all parameters, and one sigmoid for each decoded pixel.
    The products of the first layers are measured once with all pixels, as in the plain graph, and
    once with as many as the fused graph needs.

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
    products = {name: _seconds(_products(batch_size, n)) for name, n in pixels.items()}
    flop = {name: step_flop(batch_size, n) for name, n in pixels.items()}
    adam, sigmoid = _seconds(_adam), _seconds(_sigmoids(batch_size))
    return {
        "pixels": pixels,
        "flop": flop,
        "products": products,
        "rate": {name: flop[name] / products[name] for name in pixels},
        "adam": adam,
        "sigmoid": sigmoid,
        "step": {name: products[name] + adam + sigmoid for name in pixels},
    }


def _sizes() -> tuple[int, int, int]:
    """Returns the sizes of the encoder's, the decoder's and the manager's hidden layer."""
    (n_encoder,), (n_decoder,), (n_manager,) = (
        MIXTURE_OF_VAES_PARAMS[name]
        for name in ("encoder_layers", "decoder_layers", "manager_layers")
    )
    return n_encoder, n_decoder, n_manager


def step_flop(batch_size: int, n_pixels: int) -> int:
    """Returns the number of floating-point operations in the large products of a step.

    Args:
      batch_size: number of images in a batch.
      n_pixels: number of pixels that the first layers read.
    """
    n_encoder, n_decoder, n_manager = _sizes()
    first = 2 * batch_size * n_pixels * (N_EXPERTS * n_encoder + n_manager)
    last = 2 * batch_size * IMAGE_PIXELS * n_decoder * N_EXPERTS
    return 2 * first + 3 * last


def _products(batch_size: int, n_pixels: int) -> Build:
    def build() -> list[Tensor]:
        products = _first_products(batch_size, n_pixels)
        for _ in range(N_EXPERTS):
            products += _last_products(batch_size)
        return products

    return build


def _first_products(batch_size: int, n_pixels: int) -> list[Tensor]:
    """Returns the products of all encoders' and the manager's first layers with the pixels."""
    n_encoder, _, n_manager = _sizes()
    x, by_h = _filled(n_pixels, batch_size), _filled(batch_size, n_encoder * N_EXPERTS // 2)
    first = _filled(n_pixels, n_encoder * N_EXPERTS // 2)
    manager, by_manager = _filled(n_pixels, n_manager), _filled(batch_size, n_manager)
    products = []
    for weights, upstream in ((first, by_h), (first, by_h), (manager, by_manager)):
        products += [tf.matmul(x, weights, transpose_a=True), x @ upstream]
    return products


def _last_products(batch_size: int) -> list[Tensor]:
    """Returns the products of one decoder's last layer."""
    _, n_decoder, _ = _sizes()
    h, last = _filled(batch_size, n_decoder), _filled(n_decoder, IMAGE_PIXELS)
    by_pixels = _filled(batch_size, IMAGE_PIXELS)
    return [
        h @ last,
        tf.matmul(by_pixels, last, transpose_b=True),
        tf.matmul(h, by_pixels, transpose_a=True),
    ]


def _adam() -> list[Tensor]:
    n_encoder, n_decoder, n_manager = _sizes()
    n_expert = (n_encoder + n_decoder) * IMAGE_PIXELS  # the other layers are a hundredth of it
    n_parameters = N_EXPERTS * n_expert + n_manager * IMAGE_PIXELS
    constants = {"beta1_power": 0.5, "beta2_power": 0.5, "lr": 0.001}
    constants |= {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    steps = []
    for _ in range(N_PIECES):
        var, m, v, grad = (_filled(n_parameters // N_PIECES) for _ in range(4))
        slots = {"var": var.handle, "m": m.handle, "v": v.handle}
        steps.append(tf.raw_ops.ResourceApplyAdam(**slots, **constants, grad=grad.read_value()))
    return steps


def _sigmoids(batch_size: int) -> Build:
    return lambda: [tf.sigmoid(_filled(batch_size, IMAGE_PIXELS)) for _ in range(N_EXPERTS)]


def _filled(*shape: int) -> Any:
    return tf.Variable(tf.random_uniform(shape, 0.1, 0.2), use_resource=True)


def _seconds(build: Build) -> float:
    """Returns the median seconds of one run of what `build` returns, on all cores."""
    with tf.Graph().as_default() as graph:
        work = tf.group(*build())
        config = session_config()
        # Otherwise TensorFlow would drop operations whose results are not used.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        config.graph_options.optimizer_options.opt_level = -1
        with tf.Session(graph=graph, config=config) as session:
            session.run(tf.global_variables_initializer())
            run, seconds = session.make_callable(work), []
            for _ in range(N_WARM_UP + N_REPEATS):
                start = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[N_WARM_UP:]))
