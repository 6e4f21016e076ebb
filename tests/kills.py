"""The moments at which the tests of faults kill a process: random, but from a recorded seed."""

import zlib

import numpy as np

SEED = 2026
N_KILLS = 20
LONGEST_LIFE_SECONDS = 0.5


def moments(case):
    """Returns how long each of the killed processes of a case lives, float array [N_KILLS], in s.

    Args:
      case: text that tells the cases apart.
    """
    generator = np.random.default_rng([SEED, zlib.crc32(case.encode())])
    return generator.uniform(0, LONGEST_LIFE_SECONDS, N_KILLS)
