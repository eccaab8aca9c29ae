import numpy as np

from fakepkg.helper import note, shift


class Embed:
    def __init__(self, code_dim, power, random_state):
        self.code_dim, self.power, self.seed = code_dim, power, random_state

    def fit(self, X, checkpoint=None, progress=None):
        note("embed", self.seed)
        self.values_ = {"loss": 0.5}
        return self

    def transform(self, X):
        return np.clip(shift(X[:, :self.code_dim]) ** self.power + self.seed * 1e-3, 0, 1)

    def save(self, path):
        path.write_text("model")
