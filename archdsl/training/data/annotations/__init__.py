"""Boxes of things and persons, as data sets write them down: a file a format."""
