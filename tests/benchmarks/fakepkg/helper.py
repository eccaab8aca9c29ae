"""Shared by all."""
import os

from fakepkg import moments


def note(name, seed):
    moments.run()
    with open(os.environ["FAKE_LOG"], "a") as log:
        log.write(f"{name} {seed} {os.getpid()}\n")


def shift(x):
    return x + 0.0
