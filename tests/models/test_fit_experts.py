"""What EM of a mixture's experts refuses."""

import numpy as np
import pytest

from moe_vae.data.checks import DataError
from moe_vae.data.dataset import DataSet
from moe_vae.models.mixture_of_experts import build_mixture_of_experts
from moe_vae.training import start_trainer


@pytest.mark.parametrize(
    ("task", "has_targets"),
    [("regression", False), ("classification", True), ("classification", False)],
)
def test_em_needs_a_regression_and_its_targets(task, has_targets):
    points = np.random.default_rng(0).standard_normal([30, 2]).astype(np.float32)
    targets = points if has_targets else None
    data_set = DataSet(points, np.arange(30) % 2, targets, shape=points.shape[1:])
    trainer = start_trainer(
        lambda given: build_mixture_of_experts(given, "softmax", (2,)),
        {"task": task, "n_outputs": 2, "n_clusters": 3},
        0,
    )
    with pytest.raises(DataError, match="EM fits the experts of a regression on a data set with"):
        trainer.model.fit_experts(trainer.session, data_set, 1)
    trainer.session.close()
