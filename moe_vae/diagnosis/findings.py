"""What a check finds."""

from typing import NamedTuple

__all__ = ["Finding"]


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
      name: what was looked at, such as "numpy" or "free disk".
      value: what was found, a few words.
      fault: what is wrong, one line; "" if all is well.
      cure: what to do about the fault, one line; "" if all is well.
    """

    name: str
    value: str
    fault: str = ""
    cure: str = ""
