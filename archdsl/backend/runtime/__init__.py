"""What torch lacks: functions and modules whose text is put into the emitted source, and nothing else."""
