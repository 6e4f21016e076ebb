"""Post 3's model in PyTorch, eager or with `torch.compile`, and with PyTorch's own fused Adam.

Usage: python torch_mixture.py eager|compiled IMAGES.npy, then words on standard input; see
`protocol`.
"""

import sys

import numpy as np
import protocol as p
import torch


def loss_of(weights: dict[str, torch.Tensor], x: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
    """Returns the loss of a batch x [batch, 784] with noise eps [experts, batch, z_dim]."""
    h = torch.sigmoid(torch.addmm(weights["first_bias"], x, weights["first"]))
    of_experts, of_manager = h.split([p.N_EXPERTS * p.N_HIDDEN, p.N_HIDDEN], dim=1)
    logits = torch.addmm(weights["manager_bias"], of_manager, weights["manager"])
    probs = torch.softmax(logits, dim=1)
    of_experts = of_experts.reshape(-1, p.N_EXPERTS, p.N_HIDDEN).transpose(0, 1)
    heads = torch.baddbmm(weights["heads_bias"], of_experts, weights["heads"])
    mu, raw_var = heads.split(p.Z_DIM, dim=2)
    var = 1e-5 + torch.exp(raw_var)
    z = mu + torch.sqrt(var) * eps
    hidden = torch.sigmoid(torch.baddbmm(weights["hidden_bias"], z, weights["hidden"]))
    decoded = torch.sigmoid(torch.baddbmm(weights["last_bias"], hidden, weights["last"]))
    squares = torch.square(decoded - x).sum(dim=2) / (2 * p.STD**2)
    reconstruction = squares + p.N_PIXELS * float(np.log(p.STD * np.sqrt(2 * np.pi)))
    kl = -0.5 * (1 + torch.log(var) - torch.square(mu) - var).sum(dim=2)
    expected = (probs * (reconstruction + kl).T).sum(dim=1).mean()
    return expected + p.BALANCING_WEIGHT * probs.sum(dim=0).var(correction=0)


def main() -> None:
    """Answers with PyTorch."""
    mode, path = sys.argv[1:]
    torch.manual_seed(0)
    images = torch.from_numpy(np.load(path))
    weights = {
        name: torch.from_numpy(value).requires_grad_()
        for name, value in p.initial_weights().items()
    }
    adam = torch.optim.Adam(weights.values(), p.LEARNING_RATE, eps=p.EPSILON, fused=True)
    loss_function = torch.compile(loss_of) if mode == "compiled" else loss_of

    def train_epoch(batches: np.ndarray) -> float:
        for batch in torch.from_numpy(batches):
            eps = torch.randn(p.N_EXPERTS, p.BATCH_SIZE, p.Z_DIM)
            loss = loss_function(weights, images[batch], eps)
            adam.zero_grad()
            loss.backward()
            adam.step()
        return loss.item()

    p.answer(train_epoch, len(images))


if __name__ == "__main__":
    main()
