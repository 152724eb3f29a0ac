"""What of a run is on disk: its folder, its checkpoints, the weights it starts from, the videos it left out."""
