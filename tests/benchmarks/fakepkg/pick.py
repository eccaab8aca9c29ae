from fakepkg.helper import note


class Pick:
    def __init__(self, n_clusters, random_state):
        self.seed = random_state

    def fit(self, X, candidates=None):
        note("pick", self.seed)
        assert len(X) == 40 and candidates.shape == (40, 2) and candidates.dtype.kind == "i"
        self.labels_ = candidates[:, 1]
        self.values_ = {"chosen": 1, "agree": float((candidates[:, 0] == self.labels_).mean())}
        return self
