"""Videos: found, decoded, sampled, augmented. Nothing here knows of a network or of a run."""
