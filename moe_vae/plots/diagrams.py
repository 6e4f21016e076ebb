"""Drawings of model structure, made of boxes, circles and arrows."""

from typing import TYPE_CHECKING

from moe_vae.plots.charts import expert_colour
from moe_vae.plots.shapes import (
    GREY,
    add_arrow,
    add_box,
    add_edge,
    add_elbow,
    add_label,
    add_node,
    add_plate,
    add_units,
    new_canvas,
    tint,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "draw_encoder_network",
    "draw_experts_graph",
    "draw_modules",
    "draw_reparametrisation",
    "draw_vade_plates",
    "draw_vae_expert",
]


def draw_modules() -> "Figure":
    """Draws post 3's eleven modules: an image goes to ten experts and to the manager.

    Source: post 3, first drawing.
    """
    n_experts, width = 10, 12.6
    figure, ax = new_canvas(width, 4.8)
    ax.text(width / 2, 4.5, "Eleven modules: ten experts and a manager", ha="center", fontsize=13)
    middle = 0.75 + (n_experts - 1) / 2
    image, output, manager = (middle, 0.5), (middle, 3.9), (width - 1.0, 1.7)
    add_box(ax, image, "image $x$")
    add_box(ax, output, r"$\sum_i\, p_i(x)\, L_i(x)$", 5.4)
    for number in range(n_experts):
        x, colour = 0.75 + number, expert_colour(number)
        add_box(ax, (x, 1.7), f"expert {number}", 0.86, colour=tint(colour), fontsize=9)
        add_arrow(ax, (image[0] + 0.1 * (x - middle), 0.75), (x, 1.45), colour="0.6")
        start, end = (x, 1.95), (middle + 0.5 * (x - middle), 3.65)
        add_arrow(ax, start, end, colour=colour)
        add_label(ax, start, end, f"$L_{number}$")
    add_box(ax, manager, "manager", colour=GREY)
    add_elbow(ax, (image[0] + 0.6, image[1]), (manager[0], manager[1] - 0.25))
    add_elbow(ax, (manager[0], manager[1] + 0.25), (output[0] + 2.7, output[1]), upright=True)
    across = (output[0] + 2.7 + manager[0]) / 2
    ax.text(across, output[1] + 0.1, r"softmax: $p_0(x) \ldots p_9(x)$", ha="center")
    return figure


def draw_vae_expert() -> "Figure":
    """Draws one expert, a variational autoencoder, with the two parts of its loss.

    Source: post 3, fifth drawing.
    """
    figure, ax = new_canvas(10.4, 3.6)
    ax.text(5.2, 3.35, "One expert: a variational autoencoder", ha="center", fontsize=13)
    y = 2.1
    add_box(ax, (0.85, y), "image $x$")
    add_box(ax, (2.6, y), "encoder", colour=tint(expert_colour(0)))
    add_box(ax, (6.1, y), r"$z = \mu + \sigma\,\epsilon$", 1.4)
    add_box(ax, (7.8, y), "decoder", colour=tint(expert_colour(0)))
    add_box(ax, (9.5, y), r"decoding $\hat{x}$")
    # Both go to the code, and both to the divergence.
    add_plate(ax, (3.7, y - 0.65), 1.3, 1.3, "")
    add_box(ax, (4.35, y + 0.29), r"mean $\mu$", 1.14, 0.42, fontsize=9)
    add_box(ax, (4.35, y - 0.29), r"variance $\sigma^2$", 1.14, 0.42, fontsize=9)
    ax.text(6.1, y + 0.78, r"$\epsilon \sim N(0, I)$", ha="center")
    add_arrow(ax, (6.1, y + 0.68), (6.1, y + 0.25))
    for start, end in ((1.45, 2.0), (3.2, 3.7), (5.0, 5.4), (6.8, 7.2), (8.4, 8.9)):
        add_arrow(ax, (start, y), (end, y))
    prior, reconstruction = (4.35, 0.75), (8.3, 0.75)
    add_box(ax, prior, r"prior: $KL(N(\mu, \sigma^2)\,\|\,N(0, I))$", 3.2, colour=GREY)
    text = r"reconstruction: $-\log N(x;\, \hat{x},\, 0.5^2)$"
    add_box(ax, reconstruction, text, 3.6, colour=GREY)
    add_arrow(ax, (4.35, y - 0.65), (4.35, 1.0), dashed=True)
    add_arrow(ax, (9.5, y - 0.25), (9.5, 1.0), dashed=True)
    ax.plot([0.85, 0.85, 8.3], [y - 0.25, 0.3, 0.3], color="black", ls="--", lw=1)
    add_arrow(ax, (8.3, 0.3), (8.3, 0.5), dashed=True)
    ax.text(6.22, 0.75, "+", ha="center", va="center", fontsize=14)
    ax.text(5.2, 0.08, r"$N(a, b)$ has the mean $a$ and the variance $b$", ha="center", fontsize=9)
    return figure


def draw_reparametrisation() -> "Figure":
    """Draws z as a random node, and as a function of noise that gradients pass through.

    Source: the paper, section 2.3, figures.
    """
    figure, ax = new_canvas(10.4, 4.4)
    blocked, open_way = "crimson", expert_colour(2)
    for left, title in (
        (0.0, r"drawn: $z \sim N(\mu, \sigma^2)$"),
        (5.2, r"computed: $z = \mu + \sigma\,\epsilon$"),
    ):
        ax.text(left + 2.5, 4.1, title, ha="center", fontsize=13)
        mu, sigma, z, loss = (
            (left + 1.0, 0.8),
            (left + 2.4, 0.8),
            (left + 1.7, 2.2),
            (left + 1.7, 3.5),
        )
        add_node(ax, mu, r"$\mu$", random=False)
        add_node(ax, sigma, r"$\sigma$", random=False)
        add_node(ax, z, "$z$", random=left == 0)
        add_node(ax, loss, "$L$", random=False)
        for start, end in ((mu, z), (sigma, z), (z, loss)):
            add_edge(ax, start, end)
        add_edge(ax, loss, z, bend=0.5, dashed=True, colour=open_way)
        colour = open_way if left else blocked
        add_edge(ax, z, mu, bend=0.4, dashed=True, colour=colour)
        add_edge(ax, z, sigma, bend=-0.4, dashed=True, colour=colour)
        if not left:
            for x in (mu[0] - 0.05, sigma[0] + 0.05):
                ax.text(x, 1.65, r"$\times$", ha="center", va="center", color=blocked, fontsize=16)
        ax.text(left + 1.7, 0.25, "from the encoder", ha="center", color="0.3")
    add_node(ax, (8.3, 2.2), r"$\epsilon$")
    add_edge(ax, (8.3, 2.2), (6.9, 2.2))
    ax.text(8.3, 1.65, r"$\epsilon \sim N(0, I)$", ha="center")
    ax.text(3.0, 1.4, "no gradient passes\na random draw", color=blocked, va="center")
    ax.text(8.0, 0.85, "gradients reach\nthe encoder", color=open_way, va="center")
    return figure


def draw_vade_plates() -> "Figure":
    """Draws VaDE's generative model as a plate diagram, with dashed arrows for its encoder.

    Source: the paper, section 3, figure.
    """
    figure, ax = new_canvas(8.6, 3.6)
    ax.text(
        4.3,
        3.3,
        "VaDE: how it generates an example, and how its encoder reads one",
        ha="center",
        fontsize=13,
    )
    c, z, x = (2.3, 1.5), (4.3, 1.5), (6.3, 1.5)
    pi, clusters, theta = (0.6, 1.5), (4.3, 2.75), (7.9, 1.5)
    add_plate(ax, (1.7, 0.6), 5.2, 1.5, "N examples")
    add_plate(ax, (3.5, 2.4), 2.6, 0.7, "K")
    for centre, text in ((c, "$c$"), (z, "$z$")):
        add_node(ax, centre, text)
    add_node(ax, x, "$x$", observed=True)
    for centre, text in ((pi, r"$\pi$"), (clusters, r"$\mu_c, \sigma_c^2$"), (theta, r"$\theta$")):
        add_node(ax, centre, text, random=False)
    for start, end in ((pi, c), (c, z), (clusters, z), (z, x), (theta, x)):
        add_edge(ax, start, end)
    encoder = expert_colour(0)
    add_edge(ax, x, z, bend=-0.45, dashed=True, colour=encoder)
    add_edge(ax, z, c, bend=-0.45, dashed=True, colour=encoder)
    ax.text(4.3, 0.25, r"dashed: the encoder, $\phi$", color=encoder, ha="center")
    ax.text(5.3, 1.05, "$q(z|x)$", color=encoder, ha="center")
    ax.text(3.3, 1.05, "$q(c|x)$", color=encoder, ha="center")
    return figure


def draw_encoder_network() -> "Figure":
    """Draws the encoder g(x; phi): hidden layers, a mean and a log variance, and the code.

    Source: the paper, section 3, figure.
    """
    figure, ax = new_canvas(10.4, 4.6)
    ax.text(5.2, 4.3, "The encoder network of VaDE and DMVAE", ha="center", fontsize=13)
    y, upper, lower, colour = 2.2, 3.1, 1.3, tint(expert_colour(0))
    layers = [
        add_units(ax, (1.0, y), 6, GREY),
        add_units(ax, (2.8, y), 5, colour),
        add_units(ax, (4.3, y), 5, colour),
    ]
    mean, log_var = (add_units(ax, (6.1, height), 3, colour) for height in (upper, lower))
    for left, right in zip(layers, [*layers[1:], mean + log_var], strict=True):
        for start in left:
            for end in right:
                ax.plot(*zip(start, end, strict=True), color="0.75", lw=0.6, zorder=0)
    add_plate(ax, (2.2, 0.45), 4.9, 3.5, r"$g(x;\,\phi)$")
    for place, text in (((1.0, 0.4), "input $x$"), ((3.55, 0.75), "hidden layers")):
        ax.text(*place, text, ha="center", va="center")
    ax.text(6.4, upper, r"$\tilde{\mu}$", va="center", fontsize=13)
    ax.text(6.4, lower, r"$\log\,\tilde{\sigma}^2$", va="center", fontsize=13)
    z, eps = (9.0, y), (9.0, 0.8)
    add_node(ax, z, "$z$")
    add_node(ax, eps, r"$\epsilon$")
    add_edge(ax, (6.85, upper), z)
    add_edge(ax, (6.85, lower), z)
    add_edge(ax, eps, z)
    ax.text(9.0, 2.85, r"$z = \tilde{\mu} + \tilde{\sigma}\,\epsilon$", ha="center", fontsize=13)
    ax.text(9.0, 0.2, r"$\epsilon \sim N(0, I)$", ha="center")
    return figure


def draw_experts_graph() -> "Figure":
    """Draws a mixture of experts as a graphical model: the gate chooses the expert that answers.

    Source: the paper, section 4, figure.
    """
    figure, ax = new_canvas(8.6, 3.6)
    ax.text(4.3, 3.3, "Mixture of experts", ha="center", fontsize=13)
    x, c, y = (1.2, 1.5), (4.0, 2.2), (6.2, 1.5)
    gate, experts = (2.4, 2.85), (7.9, 1.5)
    add_plate(ax, (0.6, 0.6), 6.3, 2.0, "N examples")
    add_plate(ax, (7.25, 1.0), 1.25, 0.95, "K")
    add_node(ax, x, "$x$", observed=True)
    add_node(ax, c, "$c$")
    add_node(ax, y, "$y$", observed=True)
    add_node(ax, gate, "gate $V$", random=False)
    add_node(ax, experts, r"$W_c, \Gamma_c$", random=False)
    for start, end in ((x, c), (c, y), (x, y), (gate, c), (experts, y)):
        add_edge(ax, start, end)
    ax.text(2.1, 2.0, "$g_c(x)$", ha="center")
    ax.text(3.7, 1.2, "$p_c(y|x)$", ha="center")
    return figure
