"""Partitions on one feature, and every way in which a cell can end badly."""

import os
import signal
import time

import numpy as np

from fakepkg.helper import note, shift


class Cluster:
    def __init__(self, n_clusters, random_state, mode="good"):
        self.mode, self.seed = mode, random_state

    def fit(self, X):
        note(self.mode, self.seed)
        if self.mode == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == "fail":
            raise ValueError("X is unlucky, see /home/somebody/secret/file.txt")
        if self.mode == "diverge":
            raise FloatingPointError("nan in the loss")
        if self.mode == "hang":
            time.sleep(600)
        if self.mode == "slow":
            time.sleep(float(os.environ.get("FAKE_SLEEP", "2")))
        if self.mode == "exit":
            print("last words")
            os._exit(3)
        self.labels_ = (shift(X[:, 0]) > np.median(X[:, 0])).astype(int)
        return self
