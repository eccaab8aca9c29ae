from fakepkg.helper import note


class Vote:
    def __init__(self, n_clusters, random_state):
        self.seed = random_state

    def fit(self, X, fallback=None):
        note("vote", self.seed)
        assert X.shape == (40, 2) and X.dtype.kind == "i" and fallback.shape == (40,)
        self.labels_, self.values_ = X[:, 0], {"agree": float((X[:, 0] == X[:, 1]).mean())}
        return self
