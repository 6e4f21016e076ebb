"""What VaDE and DMVAE share."""

import numpy as np
import pytest

from moe_vae.data.spiral import make_spiral
from moe_vae.models.dmvae import build_dmvae
from moe_vae.models.vade import build_vade
from moe_vae.training import start_trainer
from moe_vae.training.trainer import StopTraining

SMALL = {
    "n_clusters": 3,
    "encoder_layers": [8],
    "decoder_layers": [8],
    "likelihood": "gaussian",
    "z_dim": 2,
    "gmm_restarts": 1,
    "batch_size": 20,
}


MODELS = [(build_vade, {}), (build_dmvae, {"cluster_encoder_layers": [8]})]


@pytest.mark.parametrize(("build", "options"), MODELS)
def test_pictures_are_drawn_after_the_epochs_of_the_bound_alone(build, options):
    """They would also take numbers from the generator that EM's start draws from."""
    params = {**SMALL, **options, "pretrain_epochs": 2, "epochs": 3}
    trainer = start_trainer(lambda given: build(given, (2,)), params, 0)
    train_set = make_spiral(0, 40, 10, 10).train
    trainer.fit_to_the_end(train_set)
    assert trainer.epochs_done == {"auto_encode": 2, "loss": 3}
    assert np.shape(trainer.samples) == (3, 3, 2)
    trainer.session.close()


@pytest.mark.parametrize("end", [StopTraining, KeyboardInterrupt])
@pytest.mark.parametrize(("build", "options"), MODELS)
def test_a_training_that_ends_in_the_pretraining_does_nothing_more(build, options, end):
    def stop(trainer, train_set):
        raise end

    params = {**SMALL, **options, "pretrain_epochs": 2, "epochs": 3}
    trainer = start_trainer(lambda given: build(given, (2,)), params, 0)
    trainer.listeners.append(stop)
    trainer.model.initialise_prior = lambda *_: pytest.fail("EM takes seconds")
    trainer.fit_to_the_end(make_spiral(0, 40, 10, 10).train)
    assert trainer.epochs_done == {"auto_encode": 1, "loss": 0}
    assert trainer.stopped
    assert trainer.interrupted == (end is KeyboardInterrupt)
    trainer.session.close()
