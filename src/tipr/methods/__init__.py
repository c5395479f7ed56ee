"""Ways to train an encoder, one published method per file."""
