"""What a server of forked processes loads first, so that each process need not load TensorFlow."""

# The first sets TensorFlow up, because it derives a class from one of TensorFlow's.
LOADS_TENSORFLOW = ["moe_vae.distributed.session", "tensorflow_probability.python.distributions"]
