"""Transforms between decoder and network: crops, colours, noise, normalisation."""
