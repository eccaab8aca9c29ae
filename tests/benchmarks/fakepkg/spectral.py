import numpy as np

from fakepkg.helper import note


class Spectral:
    def __init__(self, n_clusters, random_state):
        self.seed = random_state

    def spectral_embedding(self, X):
        note("eigen", self.seed)
        return {"vectors": np.sort(X, axis=0), "width": np.array(2.0)}

    def fit(self, X, embedding=None):
        assert set(embedding) == {"vectors", "width"}
        self.labels_ = (X[:, 0] > embedding["vectors"][20, 0]).astype(int)
        return self
