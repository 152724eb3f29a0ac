"""Recipes: how a network is trained, independent of any network."""
