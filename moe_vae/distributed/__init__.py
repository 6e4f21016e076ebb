"""Training one model with TensorFlow's own cluster."""
