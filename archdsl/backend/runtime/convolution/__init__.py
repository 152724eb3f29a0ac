"""What torch does for convolutions and what undoes a pool. The source of each is put into the emitted file."""
