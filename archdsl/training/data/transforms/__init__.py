"""What is done to a clip between decoder and network: crops, colours, noise, values."""
