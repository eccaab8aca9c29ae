import numpy as np

from fakepkg.helper import note


class Mix:
    def __init__(self, n_components, random_state):
        self.seed = random_state

    def fit(self, X, init_labels=None, checkpoint=None, progress=None):
        note("mix", self.seed)
        assert init_labels.shape == (len(X),) and X.max() <= 1
        for step in range(3):
            progress(step, 3, "iteration")
        self.labels_, self.log_likelihood_ = init_labels, -np.square(X).sum(1)
        self.history_, self.values_ = {"loss": [2.0, 1.0]}, {"held_out": -1.5, "none": np.nan}
        return self

    def save(self, path):
        path.write_text("model")
        path.chmod(0o600)  # as files of `tempfile` are
