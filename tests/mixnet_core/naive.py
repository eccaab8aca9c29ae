"""The paper's two listings word for word: K separate torch modules, plain loops, no bank.

Slow and simple on purpose: what the library does side by side, in blocks and in the log domain is
checked against this, step by step.
"""

import math

import torch
from torch import nn


def network(sizes, weights, biases):
    """A multilayer perceptron with ReLU layers and a sigmoid at its end (§4)."""
    layers = []
    for weight, bias in zip(weights, biases, strict=True):
        layer = nn.utils.skip_init(nn.Linear, *weight.shape)
        layer.weight.data.copy_(weight.T)
        layer.bias.data.copy_(bias)
        layers += [layer, nn.ReLU()]
    assert [layer.in_features for layer in layers[::2]] == list(sizes[:-1])
    return nn.Sequential(*layers[:-1], nn.Sigmoid())


def kernel(a, b, width):
    """Gaussian kernel between all pairs of two sets of points."""
    return torch.exp(-((a[:, None] - b[None]) ** 2).sum(2) / (2 * width**2))


def mmd2(x, y, widths):
    """Eq. 9, mean over several kernels."""
    m, n, total = len(x), len(y), 0
    for width in widths:
        xx, yy, xy = kernel(x, x, width), kernel(y, y, width), kernel(x, y, width)
        if m > 1:
            total = total + (xx.sum() - m) / (m * (m - 1))
        total = total + (yy.sum() - n) / (n * (n - 1)) - 2 * xy.sum() / (m * n)
    return total / len(widths)


class NaiveMixture:
    """State of the two algorithms.

    Parameters
    ----------
    networks : list of K modules
    x : Tensor, shape (N, p)
    clusters : Tensor of int64, shape (N,)
        Hard clusters of step 1.
    order, draws, inputs : Generator, Generator, list of K Generator
        For the order of points, the S samples, and the random inputs of each network.
    """

    def __init__(
        self,
        networks,
        x,
        clusters,
        order,
        draws,
        inputs,
        *,
        lr,
        widths,
        sigma,
        batch_1,
        batch_2,
        n_samples,
        threshold,
        n_inputs,
    ):
        self.networks, self.x, self.clusters = networks, x, clusters
        self.order, self.draws, self.inputs = order, draws, inputs
        self.lr, self.widths, self.sigma, self.threshold = lr, widths, sigma, threshold
        self.batch_1, self.batch_2, self.n_samples = batch_1, batch_2, n_samples
        self.n_inputs = n_inputs
        self.K = len(networks)
        self.priors = [(clusters == j).sum().item() / len(x) for j in range(self.K)]

    def update(self, j, batch, batch_size, m=1.0):
        """Eqs. 3 and 7: generate B samples, w_j ← w_j - m β ∂C_j/∂w_j."""
        net = self.networks[j]
        z = torch.rand(batch_size, self.n_inputs, generator=self.inputs[j]) * 2 - 1
        cost = mmd2(batch, net(z), self.widths)
        for w, slope in zip(
            net.parameters(), torch.autograd.grad(cost, list(net.parameters())), strict=True
        ):
            w.data -= m * self.lr * slope

    def algorithm_1_epoch(self):
        for j in range(self.K):
            own = self.x[self.clusters == j]
            own = own[torch.randperm(len(own), generator=self.order)]
            if len(own) < self.batch_1:
                batches = [own] if len(own) else []
            else:
                b = len(own) // self.batch_1
                batches = [own[i * self.batch_1 : (i + 1) * self.batch_1] for i in range(b)]
            for batch in batches:
                self.update(j, batch, self.batch_1)

    def likelihood_matrix(self):
        """Eq. 4 with the kernel normalised, in float64."""
        z = torch.rand(self.K, self.n_samples, self.n_inputs, generator=self.draws) * 2 - 1
        p = self.x.shape[1]
        columns = []
        for j, net in enumerate(self.networks):
            with torch.no_grad():
                y = net(z[j]).double()
            columns.append(kernel(self.x.double(), y, self.sigma).mean(1))
        self.L = torch.stack(columns, 1) / (math.sqrt(2 * math.pi) * self.sigma) ** p

    def memberships(self):
        """Eq. 5."""
        joint = self.L * torch.tensor(self.priors, dtype=torch.float64)
        return joint / joint.sum(1, keepdim=True)

    def update_priors(self):
        self.priors = self.memberships().mean(0).tolist()

    def algorithm_2_iteration(self):
        """One iteration of Algorithm 2 without the update of L."""
        best = self.L.argmax(1)
        shuffled = torch.randperm(len(self.x), generator=self.order).tolist()
        rows = [i for j in range(self.K) for i in shuffled if best[i] == j]  # rearrange
        B = self.batch_2
        batches = [rows[i * B : (i + 1) * B] for i in range(len(rows) // B)]
        m = []
        for batch in batches:  # eq. 6
            products = [self.priors[j] * float(self.L[batch, j].prod()) for j in range(self.K)]
            m.append([product / sum(products) for product in products])
        self.used = [share for shares in m for share in shares]
        for j in range(self.K):
            for batch, shares in zip(batches, m, strict=True):
                if shares[j] >= self.threshold:
                    self.update(j, self.x[batch], B, shares[j])
