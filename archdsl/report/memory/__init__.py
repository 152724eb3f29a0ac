"""Memory of training and inference, told from the plan."""
