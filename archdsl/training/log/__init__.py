"""What a run tells while it trains: bars, meters, curves."""
