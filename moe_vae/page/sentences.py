"""What each panel of a page says: what to see, and which cell of which post it comes from."""

from collections.abc import Mapping
from typing import Any

__all__ = ["panel_sentences"]

_DRAW = (
    "Draw a digit with the mouse, a finger or a pen. The small picture is what the model reads: "
    "your drawing in a box of {box} pixels, its centre of mass in the middle, as MNIST's digits "
    "were prepared. {cell}"
)
_LOOK = (
    "Each number is one example at its code, in the plane of the two directions in which the codes "
    "vary most; number and colour say {which}. Point at one, and the model decodes it. {cell}"
)

# By model, and for a mixture of VAEs also by routing: panel to sentence.
_POST_2 = {
    "draw": "The pictures are those of post 2, cell 2.",
    "route": "Post 2, cells 4 and 5: a classifier reads the picture and gives each digit a "
    "probability; the decoder is told these probabilities. See what it draws when two digits are "
    "equally likely.",
    "generate": "Post 2, cell 7: one code, drawn as every digit. Move a slider: the handwriting "
    "changes in the same way for all of them.",
    "hand": "Post 2, cells 5 and 7: the code of your drawing is decoded with each digit in turn. "
    "See whether slant and stroke are yours in all of them.",
    "look": "Post 2, cells 4 and 5: the encoder's mean codes. The decoder is told the digit, so "
    "the code need not hold it: see how far the digits mix.",
}
_EXPERTS = {
    "draw": "The pictures are those of post 3, cell 2.",
    "generate": "Post 3, cell 7: one code, drawn by every expert. Move a slider: each expert has "
    "learned its own meaning of it.",
    "look": "Post 3, cells 4 and 5: the mean code of each example by the expert that the manager "
    "chooses. Every expert has its own code space, so places compare only within one colour.",
}
_SPECIALISTS = {
    **_EXPERTS,
    "route": "Post 3 wishes for experts with one digit each; here the manager of cell 5 was first "
    "trained to send a picture and a slightly changed copy of it to the same expert. See whether "
    "the manager's choice is also the expert with the lowest loss, in nats.",
}
_SENTENCES = {
    "conditional-vae": _POST_2,
    "mixture-of-vaes": {
        **_EXPERTS,
        "route": "Post 3, cell 5: the manager's probabilities, and cell 4: each expert's decoding "
        "with its loss in nats. See whether the expert that the manager chooses also has the "
        "lowest loss, and draw a 4 and then a 9: does one expert take both?",
    },
    "mixture-of-vaes information": _SPECIALISTS,
    "mixture-of-vaes balanced": _SPECIALISTS
    | {
        "route": "The manager of post 3, cell 5, with a balancing loss that counts shares. See "
        "whether the expert that it chooses also has the lowest loss."
    },
    "mixture-of-vaes labels": _EXPERTS
    | {
        "route": "Post 3 argues that ten VAEs, each trained on one digit's pictures, would work. "
        "The probabilities here follow from their losses."
    },
    "hierarchy": _EXPERTS
    | {
        "route": "Post 3 wishes for experts that are mixtures themselves. Each expert shows its "
        "likeliest style. See whether the manager's choice also has the lowest loss.",
    },
}
# Of the paper's systems, which have no cells.
_PAPER = {
    "draw": "",
    "route": "The paper, sections 3 to 7: the probability of each cluster, given the picture.",
    "generate": "The paper, section 8.1: pictures drawn from one cluster. Move a slider and see "
    "what stays.",
    "look": "The paper, section 8.1: the mean codes of the encoder. See whether each cluster has "
    "a region of its own.",
}


def panel_sentences(model: str, params: Mapping[str, Any], box: int, column: str) -> dict[str, str]:
    """Returns the sentences of a model's panels: a dict of panel to text.

    Args:
      model: the model's name.
      params: its parameters.
      box: side of the box into which a drawing is scaled, in pixels.
      column: what its answers number, such as "expert".
    """
    routing = params.get("routing", "post")
    key = model if routing == "post" or model == "hierarchy" else f"{model} {routing}"
    own = _SENTENCES.get(key, _PAPER)
    which = {"prior": "how many examples there are"}.get(column, f"its likeliest {column}")
    return own | {
        "draw": _DRAW.format(box=f"{box} x {box}", cell=own["draw"]).strip(),
        "look": _LOOK.format(which=which, cell=own["look"]),
    }
