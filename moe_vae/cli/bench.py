"""`bench`: the engines' speed and memory."""

import argparse

from moe_vae.bench.card import CARD_OUT, run_card_bench
from moe_vae.bench.engines import BENCH_OUT, N_EPOCHS, run_bench
from moe_vae.bench.growth import GROWTH_OUT, run_growth
from moe_vae.bench.processes import PeerPythons
from moe_vae.bench.training_growth import TRAINING_GROWTH_OUT, run_training_growth
from moe_vae.cli import options

__all__ = ["add_command", "run"]

# What `--scaling` measures, and where it writes by default.
SCALINGS = {
    "prediction": (run_growth, GROWTH_OUT),
    "training": (run_training_growth, TRAINING_GROWTH_OUT),
}


def add_command(commands: options.Commands) -> None:
    """Adds the command to the parser's commands."""
    command = options.add(
        commands,
        "bench",
        run,
        "measure how fast each engine is, beside other frameworks and the hardware's limit",
    )
    options.add_data(command)
    command.add_argument(
        "--epochs",
        type=options.positive,
        metavar="N",
        help="how many epochs of post 3's model to time, in each engine and each framework; a "
        f"first epoch is not counted; default: {N_EPOCHS}",
    )
    command.add_argument(
        "--peers",
        action="store_true",
        help="also time the same model in JAX, PyTorch and TensorFlow 1.15, as far as they are "
        "installed",
    )
    command.add_argument(
        "--peers-python",
        metavar="FILE",
        help="a Python that has JAX and PyTorch; default: the one that runs this command",
    )
    command.add_argument(
        "--tensorflow-1-python", metavar="FILE", help="a Python that has TensorFlow 1.15"
    )
    command.add_argument(
        "--scaling",
        choices=tuple(SCALINGS),
        nargs="?",
        const="prediction",
        help="measure instead how time and memory grow. prediction (if nothing is named): those of "
        "prediction and generation, with the number of experts, the batch size and the image size. "
        "training: those of a training, with the number of experts",
    )
    command.add_argument(
        "--device",
        choices=("gpu",),
        help="measure instead every model in every engine on a GPU, in single precision, TF32 and "
        "bfloat16, and check the losses against the CPU's",
    )
    command.add_argument(
        "--out",
        type=options.new_file,
        metavar="FILE",
        help=f"the file of the results; default: {BENCH_OUT}, with --scaling {GROWTH_OUT}, with "
        f"--scaling training {TRAINING_GROWTH_OUT}, with --device gpu {CARD_OUT}",
    )


def run(arguments: argparse.Namespace) -> None:
    """Measures, and writes the times and their figure."""
    _check_options(arguments)
    if arguments.device:
        out = arguments.out or CARD_OUT
        run_card_bench(options.data_of(arguments), out, arguments.command_line)
        return
    if arguments.scaling:
        measure, out = SCALINGS[arguments.scaling]
        measure(arguments.out or out, arguments.command_line)
        return
    run_bench(
        options.data_of(arguments),
        arguments.epochs or N_EPOCHS,
        arguments.peers,
        PeerPythons(arguments.peers_python, arguments.tensorflow_1_python),
        arguments.out or BENCH_OUT,
        arguments.command_line,
    )


def _check_options(arguments: argparse.Namespace) -> None:
    """Raises CommandError if an option would be ignored."""
    if arguments.device and arguments.scaling:
        raise options.CommandError("--device and --scaling measure different things: give one")
    other = "device" if arguments.device else "scaling" if arguments.scaling else None
    for name in ("epochs", "peers", "peers_python", "tensorflow_1_python"):
        if other and getattr(arguments, name):
            option = f"--{name.replace('_', '-')}"
            raise options.CommandError(f"{option} does not go with --{other}: leave one out")
