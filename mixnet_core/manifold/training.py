"""The training of codes that keep neighbours: UMAP's loss, and the error of reconstructions."""

import math

import torch
from scipy.sparse import coo_matrix
from torch import Tensor
from torch.nn.functional import softplus

from mixnet_core.training.reconstruction import Reconstruction

A, B = 1.5769, 0.8951  # 1 / (1 + A d^2B): UMAP's own curve, of min_dist 0.1
REPORTS = 50
TINY = 1e-6  # squared distance: the logarithm of a smaller one has no use


def attraction(distance: Tensor) -> Tensor:
    """-log of the probability that points at these squared distances are joined."""
    return softplus(math.log(A) + B * torch.log(distance + TINY))


def repulsion(distance: Tensor) -> Tensor:
    """-log of the probability that they are not."""
    return softplus(-math.log(A) - B * torch.log(distance + TINY))


class Neighbours(Reconstruction):
    """One training, and its state between two checkpoints.

    A mini-batch is `batch_size` edges of the graph, drawn in proportion to their weights. Their
    ends attract each other; against each first end, second ends of other edges of the batch stand
    for points that are not joined (parametric UMAP: Sainburg, McInnes & Gentner 2021).
    """

    def run(self, data: Tensor, graph: coo_matrix, progress=None) -> None:
        """Train on rows (n, p) and their graph (n, n); the last weights are left.

        Raises
        ------
        FloatingPointError
            If the loss is not finite.
        """
        model = self.model
        total = max(1, model.min_updates, math.ceil(model.epochs * len(data) / model.batch_size))
        rows, columns = (torch.from_numpy(end.astype("int64")) for end in (graph.row, graph.col))
        sums = torch.from_numpy(graph.data).cumsum(0)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=model.lr, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
        )
        self.history = {"update": [], "neighbours": [], "reconstruction": []}
        self._resume()
        every = max(1, total // REPORTS)
        sums = sums / sums[-1]
        for step in range(self.epoch, total):
            place = torch.rand(model.batch_size, generator=self.generator, dtype=torch.float64)
            edges = torch.searchsorted(sums, place).clamp_(max=len(sums) - 1)
            joined, error = self._losses(data, rows[edges], columns[edges])
            self.optimizer.zero_grad()
            (joined + model.reconstruction_weight * error).backward()
            self.optimizer.step()
            self.schedule.step()
            if (step + 1) % every and step + 1 < total:
                continue
            self._report(step + 1, joined.item(), error.item())
            if progress is not None:
                progress(step + 1, total, f"reconstruction error {error.item():.4f}")

    def _losses(self, data: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of the edges, and mean squared error of both ends' reconstructions."""
        n, times = len(first), self.model.negatives
        x = data[torch.cat([first, second]).to(data.device)]
        codes = self.network.encode(x)
        head, tail = codes[:n], codes[n:]
        others = [torch.randperm(n, generator=self.generator) for _ in range(times)]
        apart = head - tail[torch.stack(others).to(tail.device)]
        loss = attraction((head - tail).square().sum(1)).mean()
        loss = loss + times * repulsion(apart.square().sum(2)).mean()
        return loss, (self.network.decode(codes) - x).square().mean()

    def _report(self, step: int, joined: float, error: float) -> None:
        if not math.isfinite(joined + error):
            raise FloatingPointError(
                f"the training diverged at update {step}: a smaller lr may help "
                f"(lr={self.model.lr:g})"
            )
        for name, value in (("update", step), ("neighbours", joined), ("reconstruction", error)):
            self.history[name].append(value)
        self._save(step)
