"""What a network looks at and looks for: pictures of its weights, its maps, its gradients and its favourite clips."""
