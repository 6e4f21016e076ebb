"""A trained mixture's experts by hand: sliders for the code, or a grid where there are none."""

import io

import ipywidgets as widgets
import numpy as np

from moe_vae.plots.charts import plot_image_rows

__all__ = ["explore", "plot_traversals"]

# How far a slider goes to either side, in standard deviations of the prior.
REACH = 3.0
STEPS = (-2, -1, 0, 1, 2)


def _styles(model):
    """Number of VAEs of an expert: 1 where the expert is one."""
    return getattr(model, "n_styles", 1)


def _draw(trainer, expert, style, codes):
    """Lets one style of one expert draw each of the codes [n, z_dim]."""
    # A hierarchy's styles draw in turn: each code is given to all, and one's drawing kept.
    n_styles = _styles(trainer.model)
    drawn = trainer.model.generate(trainer.session, np.repeat(codes, n_styles, axis=0), expert)
    return drawn[style::n_styles]


def plot_traversals(trainer, expert, style, title):
    """Draws what each latent dimension does: all others at 0, the prior's mean.

    Args:
      trainer: the `Trainer` of a mixture of VAEs, flat or hierarchical.
      expert: number of the expert, from 0.
      style: number of the expert's VAE, from 0; 0 in a flat mixture.
      title: str.

    Returns:
      A `matplotlib.figure.Figure`: a row a dimension, a column a value.
    """
    z_dim = trainer.model.params["z_dim"]
    codes = np.array(STEPS)[None, :, None] * np.eye(z_dim)[:, None, :]
    drawn = _draw(trainer, expert, style, codes.reshape(-1, z_dim))
    rows = drawn.reshape(z_dim, len(STEPS), -1)
    labels = [f"z[{dimension}]" for dimension in range(z_dim)]
    return plot_image_rows(rows, labels, title, [f"{step:+d}" for step in STEPS])


def explore(trainer, titles):
    """Makes sliders for the code and menus for expert and style, beside the picture they give.

    Args:
      trainer: as for `plot_traversals`.
      titles: one text an expert, for the menu.

    Returns:
      An ipywidgets box; its `picture` is the image, `expert` and `style` the menus and `code` the
      tuple of sliders.
    """
    model = trainer.model
    expert = widgets.Dropdown(
        options=[(title, number) for number, title in enumerate(titles)], description="expert"
    )
    style = widgets.Dropdown(options=range(_styles(model)), description="style")
    code = tuple(
        widgets.FloatSlider(0.0, min=-REACH, max=REACH, step=0.1, description=f"z[{dimension}]")
        for dimension in range(model.params["z_dim"])
    )
    picture = widgets.Image(format="png", width=280, height=280)

    def redraw(_=None):
        z = np.array([[slider.value for slider in code]])
        image = _draw(trainer, expert.value, style.value, z)
        buffer = io.BytesIO()
        plot_image_rows([image], [""], "").savefig(buffer, dpi=200)
        picture.value = buffer.getvalue()

    for control in (expert, style, *code):
        control.observe(redraw, names="value")
    redraw()
    box = widgets.HBox([widgets.VBox([expert, style, *code]), picture])
    box.expert, box.style, box.code, box.picture = expert, style, code, picture
    return box
