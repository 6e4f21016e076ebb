"""Lets the sections of a docstring hold sentences, such as "And what `fit` raises."

Griffe reads every entry of a section as a name and its description, and drops what is neither.
"""

import re
from typing import Any

from griffe import Extension, Object

_SENTENCE = re.compile(r"^(?P<indent> +)(?P<text>(?:And|What) [^:\n]*\.)$", re.MULTILINE)


class Sentences(Extension):
    """Gives every sentence that is an entry of its own a name, three dots."""

    def on_instance(self, *, obj: Object, **kwargs: Any) -> None:
        """Changes an object's docstring before it is parsed."""
        del kwargs
        if obj.docstring is not None:
            obj.docstring.value = _SENTENCE.sub(r"\g<indent>...: \g<text>", obj.docstring.value)
