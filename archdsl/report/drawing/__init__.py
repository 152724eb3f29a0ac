"""Drawings of architectures: SVG, DOT, and a web page."""
