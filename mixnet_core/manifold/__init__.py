"""Codes that keep the neighbours of the data, with a decoder (ours)."""

from mixnet_core.manifold.autoencoder import NeighbourAutoencoder

__all__ = ["NeighbourAutoencoder"]
