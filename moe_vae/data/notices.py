"""The one way in which reading data says something to the user."""

import sys

__all__ = ["notice"]


def notice(text: str) -> None:
    """Prints one line about the data to standard error.

    Args:
      text: a sentence, such as "42 colour pictures were made grey.".
    """
    print(f"Notice: {text}", file=sys.stderr)
