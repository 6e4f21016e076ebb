"""The progress of a training, on standard error or in a notebook."""

import sys
import time
from collections.abc import Mapping
from types import TracebackType

from moe_vae.messages import is_shown, progress_bar, say, stream

__all__ = ["EpochBar"]


def _is_redrawn() -> bool:
    """Whether a line can be redrawn: in a terminal or a notebook, but not in a log."""
    return stream() is sys.stdout or stream().isatty()


class EpochBar:
    """A progress bar in a terminal or notebook; one line an epoch anywhere else.

    Args:
      n_done: number of epochs that were trained before.
      n_epochs: number of epochs to come; with 0 nothing is shown.
      shows: whether anything is shown.
    """

    def __init__(self, n_done: int, n_epochs: int, shows: bool = True) -> None:
        self._shows = shows and is_shown()
        self._n_done = n_done
        self._total = n_done + n_epochs
        self._bar = None
        if n_epochs and self._shows and _is_redrawn():
            self._bar = progress_bar(initial=n_done, total=self._total, unit="epoch")

    def __enter__(self) -> "EpochBar":
        self._start = time.perf_counter()
        return self

    def update(self, losses: Mapping[str, float]) -> None:
        """Shows that an epoch is over.

        Args:
          losses: dict of loss name to its value over the training set.
        """
        self._n_done += 1
        if not self._shows:
            return
        shown = {name: f"{value:.3f}" for name, value in losses.items()}
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update()
            return
        now = time.perf_counter()
        values = ", ".join(f"{name}={value}" for name, value in shown.items())
        say(f"{self._n_done}/{self._total} epochs, {now - self._start:.1f} s, {values}")
        self._start = now

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
