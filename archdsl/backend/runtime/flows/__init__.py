"""Functions of movement between frames: flow, its ops, correlation."""
