"""Boxes, circles and arrows, which the diagrams are made of.

Coordinates and lengths are in inches, from the lower left corner of the figure.
"""

from typing import TYPE_CHECKING, Any

from moe_vae.plots.charts import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "GREY",
    "add_arrow",
    "add_box",
    "add_edge",
    "add_elbow",
    "add_label",
    "add_node",
    "add_plate",
    "add_units",
    "new_canvas",
    "tint",
]

Point = tuple[float, float]
Colour = Any  # whatever matplotlib takes for one

GREY = "0.85"  # of a manager, a part of a loss, or an observed variable
NODE_RADIUS = 0.32
UNIT_RADIUS, UNIT_STEP = 0.14, 0.45  # of the units of a layer


def new_canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    """Returns an empty figure, and axes that fill it and show no ticks."""
    figure = new_figure(width, height, layout=None)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return figure, ax


def tint(colour: tuple[float, ...]) -> tuple[float, ...]:
    """Returns the colour, red, green, blue and alpha, light enough to write on."""
    red, green, blue, _ = colour
    return (*(0.65 + 0.35 * part for part in (red, green, blue)), 1.0)


def add_box(
    ax: "Axes",
    centre: Point,
    text: str,
    width: float = 1.2,
    height: float = 0.5,
    colour: Colour = "white",
    fontsize: float = 10,
) -> None:
    """Draws a rounded box with a text."""
    x, y = centre
    _add_rectangle(ax, (x - width / 2, y - height / 2), width, height, 0.08, colour, "black")
    ax.text(x, y, text, ha="center", va="center", fontsize=fontsize)


def _add_rectangle(
    ax: "Axes",
    corner: Point,
    width: float,
    height: float,
    rounding: float,
    colour: Colour,
    edge_colour: Colour,
) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={rounding}"
    ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, fc=colour, ec=edge_colour))


def add_arrow(
    ax: "Axes",
    start: Point,
    end: Point,
    colour: Colour = "black",
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    """Draws an arrow; `bend` is how far it bows, as a share of its length."""
    from matplotlib.patches import FancyArrowPatch

    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=10,
            color=colour,
            connectionstyle=f"arc3,rad={bend}",
            ls="--" if dashed else "-",
            shrinkA=0,
            shrinkB=0,
        )
    )


def add_elbow(ax: "Axes", start: Point, end: Point, upright: bool = False) -> None:
    """Draws an arrow with one right angle; `upright` is whether it leaves its start upwards."""
    corner = (start[0], end[1]) if upright else (end[0], start[1])
    ax.plot(*zip(start, corner, strict=True), color="black", lw=1)
    add_arrow(ax, corner, end)


def add_label(ax: "Axes", start: Point, end: Point, text: str, share: float = 0.3) -> None:
    """Writes a text on a straight arrow, at a share of its length."""
    x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
    box = {"fc": "white", "ec": "none", "pad": 0.5}
    ax.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box)


def add_node(
    ax: "Axes", centre: Point, text: str, observed: bool = False, random: bool = True
) -> None:
    """Draws a variable of a graphical model.

    A random variable is a circle, grey if it is observed; a parameter is a text without a circle.
    """
    from matplotlib.patches import Circle

    if random:
        colour = GREY if observed else "white"
        ax.add_patch(Circle(centre, NODE_RADIUS, fc=colour, ec="black"))
    ax.text(*centre, text, ha="center", va="center", fontsize=13)


def add_edge(
    ax: "Axes",
    start: Point,
    end: Point,
    bend: float = 0.0,
    dashed: bool = False,
    colour: Colour = "black",
) -> None:
    """Draws an arrow between two nodes, given by their centres, from rim to rim."""
    (x, y), (u, v) = start, end
    length = ((u - x) ** 2 + (v - y) ** 2) ** 0.5
    step = ((u - x) / length * NODE_RADIUS, (v - y) / length * NODE_RADIUS)
    ends = (x + step[0], y + step[1]), (u - step[0], v - step[1])
    add_arrow(ax, *ends, colour=colour, bend=bend, dashed=dashed)


def add_plate(ax: "Axes", corner: Point, width: float, height: float, text: str) -> None:
    """Draws a plate, a box around nodes that are repeated; the text says how often.

    `corner` is the lower left one.
    """
    _add_rectangle(ax, corner, width, height, 0.1, "none", "0.4")
    ax.text(corner[0] + width - 0.1, corner[1] + 0.1, text, ha="right", color="0.3")


def add_units(ax: "Axes", centre: Point, n_units: int, colour: Colour) -> list[Point]:
    """Draws a layer of a network, its units one above the other, and returns their centres."""
    from matplotlib.patches import Circle

    x, y = centre
    heights = [y + UNIT_STEP * (number - (n_units - 1) / 2) for number in range(n_units)]
    for height in heights:
        ax.add_patch(Circle((x, height), UNIT_RADIUS, fc=colour, ec="black"))
    return [(x, height) for height in heights]
