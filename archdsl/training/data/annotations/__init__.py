"""Boxes, masks, captions and segments along time, as data sets write them down: a file a format."""
