"""What a trained mixture's experts draw: sliders for the code, or a grid that needs no notebook."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from moe_vae.plots.charts import plot_image_rows
from moe_vae.training.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from moe_vae.posts.mixture_of_vaes import Manager

__all__ = ["explore", "plot_traversals"]

# How far a slider goes to either side, in standard deviations of the prior.
REACH = 3.0
STEPS = (-2, -1, 0, 1, 2)


def _draw(trainer: Trainer, expert: int, style: int, codes: np.ndarray) -> np.ndarray:
    """Returns what one style of one expert draws from codes: pictures [n, height, width]."""
    # The styles draw in turn: each gets every code, and one style's drawings are kept.
    n_styles = trainer.model.n_styles
    drawn = trainer.model.generate(trainer.session, np.repeat(codes, n_styles, axis=0), expert)
    return drawn[style::n_styles].reshape(-1, *cast("Manager", trainer.model).shape)


def plot_traversals(trainer: Trainer, expert: int, style: int, title: str) -> "Figure":
    """Draws what each latent dimension changes while all others stay at 0, the prior's mean.

    Args:
      trainer: the `Trainer` of a mixture of VAEs, flat or hierarchical.
      expert: number of the expert, from 0.
      style: number of the expert's VAE, from 0; 0 in a flat mixture.
      title: title of the figure.

    Returns:
      A `matplotlib.figure.Figure`, with a row for each dimension and a column for each value.
    """
    z_dim = trainer.model.params["z_dim"]
    codes = np.array(STEPS)[None, :, None] * np.eye(z_dim)[:, None, :]
    drawn = _draw(trainer, expert, style, codes.reshape(-1, z_dim))
    rows = drawn.reshape(z_dim, len(STEPS), *drawn.shape[1:])
    labels = [f"z[{dimension}]" for dimension in range(z_dim)]
    values = [f"{step:+d}" if step else "0" for step in STEPS]
    return plot_image_rows(rows, labels, title, values)


def explore(trainer: Trainer, titles: Sequence[str], first: int = 0) -> Any:
    """Makes menus for expert and style and sliders for the code, beside the image that they give.

    A page that only shows a notebook runs no widgets. It shows a picture in their place: what each
    latent dimension changes in the first expert's first style.

    Args:
      trainer: as for `plot_traversals`.
      titles: the text of each expert in the menu.
      first: number of the expert that is chosen at the beginning, from 0.

    Returns:
      An ipywidgets box; its `picture` is the image, `expert` and `style` are the menus, and `code`
      is the tuple of sliders.
    """
    import ipywidgets as widgets

    class Explorer(widgets.HBox):
        def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
            figure = plot_traversals(
                trainer, first, 0, f"{titles[first]}, style 0: one dimension at a time"
            )
            picture = base64.b64encode(_png(figure)).decode()
            return {**super()._repr_mimebundle_(**options), "image/png": picture}

    model = trainer.model
    expert = widgets.Dropdown(
        options=[(title, number) for number, title in enumerate(titles)],
        value=first,
        description="expert",
    )
    style = widgets.Dropdown(options=range(model.n_styles), description="style")
    code = tuple(
        widgets.FloatSlider(0.0, min=-REACH, max=REACH, step=0.1, description=f"z[{dimension}]")
        for dimension in range(model.params["z_dim"])
    )
    picture = widgets.Image(format="png", width=280, height=280)

    def redraw(_: Any = None) -> None:
        z = np.array([[slider.value for slider in code]])
        drawn = _draw(trainer, expert.value, style.value, z)[0]
        picture.value = _png(plot_image_rows([[drawn]], [""], ""), dpi=200)

    for control in (expert, style, *code):
        control.observe(redraw, names="value")
    redraw()
    box = Explorer([widgets.VBox([expert, style, *code]), picture])
    box.expert, box.style, box.code, box.picture = expert, style, code, picture
    return box


def _png(figure: "Figure", dpi: int = 100) -> bytes:
    """Returns a figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi)
    return buffer.getvalue()
