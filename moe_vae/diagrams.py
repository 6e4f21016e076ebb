"""Drawings of model structure, made of boxes and arrows."""

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from moe_vae.figures import expert_colour

__all__ = ["draw_modules", "draw_vae_expert"]

MANAGER_COLOUR = "0.85"


def _canvas(width, height):
    """A figure whose data units are inches, without axes."""
    figure = Figure(figsize=(width, height))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis("off")
    return figure, ax


def _box(ax, centre, text, width=1.2, height=0.5, colour="white", fontsize=10):
    x, y = centre
    corner = (x - width / 2, y - height / 2)
    ax.add_patch(
        FancyBboxPatch(
            corner, width, height, boxstyle="round,pad=0,rounding_size=0.08", fc=colour, ec="black"
        )
    )
    ax.text(x, y, text, ha="center", va="center", fontsize=fontsize)


def _arrow(ax, start, end, colour="black", bend=0.0, dashed=False):
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


def _tint(colour):
    """The same colour, light enough to write on."""
    red, green, blue, _ = colour
    return (*(0.65 + 0.35 * part for part in (red, green, blue)), 1.0)


def draw_modules(n_experts=10):
    """Draws post 3's eleven modules: an image goes to ten experts and to the manager.

    Source: post 3, first drawing.
    """
    width = 1.0 * n_experts + 2.6
    figure, ax = _canvas(width, 4.4)
    ax.text(width / 2, 4.15, "Eleven modules: ten experts and a manager", ha="center", fontsize=13)
    image, manager = (width / 2, 0.5), (width - 1.0, 1.7)
    _box(ax, image, "image $x$")
    _box(ax, manager, "manager", colour=MANAGER_COLOUR)
    _arrow(ax, (image[0] + 0.6, image[1]), (manager[0], manager[1] - 0.25), bend=0.2)
    output = (width / 2 - 0.8, 3.6)
    for number in range(n_experts):
        x = 0.75 + 1.0 * number
        colour = expert_colour(number)
        _box(ax, (x, 1.7), f"expert {number}", 0.86, colour=_tint(colour), fontsize=9)
        _arrow(ax, (image[0], image[1] + 0.25), (x, 1.45), colour="0.6")
        _arrow(ax, (x, 1.95), (output[0] + (x - output[0]) * 0.22, output[1] - 0.25), colour=colour)
        ax.text(
            x, 2.2, f"$L_{number}$", fontsize=9, ha="center", bbox={"fc": "white", "ec": "none"}
        )
    _box(ax, output, r"$\sum_i\, p_i(x)\, L_i(x)$", 2.6)
    _arrow(ax, (manager[0], manager[1] + 0.25), (output[0] + 1.3, output[1]), bend=0.25)
    ax.text(manager[0] - 0.15, 3.0, "softmax\n$p_0 \\ldots p_9$", ha="center", fontsize=10)
    return figure


def draw_vae_expert():
    """Draws one expert, a variational autoencoder, with the two parts of its loss.

    Source: post 3, fifth drawing.
    """
    figure, ax = _canvas(10.4, 3.6)
    ax.text(5.2, 3.35, "One expert: a variational autoencoder", ha="center", fontsize=13)
    y = 2.1
    _box(ax, (0.85, y), "image $x$")
    _box(ax, (2.75, y), "encoder", colour=_tint(expert_colour(0)))
    _box(ax, (4.45, y + 0.4), r"$\mu$", 0.7)
    _box(ax, (4.45, y - 0.4), r"$\sigma^2$", 0.7)
    _box(ax, (6.0, y), r"$z = \mu + \sigma\,\epsilon$", 1.4)
    _box(ax, (7.8, y), "decoder", colour=_tint(expert_colour(0)))
    _box(ax, (9.5, y), r"decoding $\hat{x}$")
    ax.text(6.0, y + 0.78, r"$\epsilon \sim N(0, I)$", ha="center")
    _arrow(ax, (6.0, y + 0.68), (6.0, y + 0.25))
    for start, end in (
        ((1.45, y), (2.15, y)),
        ((3.35, y + 0.1), (4.1, y + 0.4)),
        ((3.35, y - 0.1), (4.1, y - 0.4)),
        ((4.8, y + 0.4), (5.3, y + 0.1)),
        ((4.8, y - 0.4), (5.3, y - 0.1)),
        ((6.7, y), (7.2, y)),
        ((8.4, y), (8.9, y)),
    ):
        _arrow(ax, start, end)
    prior, reconstruction = (4.45, 0.62), (8.0, 0.62)
    _box(ax, prior, r"prior: $KL(N(\mu, \sigma^2)\,\|\,N(0, I))$", 3.2, colour=MANAGER_COLOUR)
    _box(
        ax, reconstruction, r"reconstruction: $-\log N(x;\hat{x}, 0.5)$", 3.3, colour=MANAGER_COLOUR
    )
    _arrow(ax, (4.45, y - 0.65), (4.45, 0.87), dashed=True)
    _arrow(ax, (9.5, y - 0.25), (9.0, 0.87), dashed=True)
    ax.plot([0.85, 0.85, 8.0], [y - 0.25, 0.12, 0.12], color="black", ls="--", lw=1)
    _arrow(ax, (8.0, 0.12), (8.0, 0.37), dashed=True)
    ax.text(6.2, 0.62, "+", ha="center", va="center", fontsize=14)
    return figure
