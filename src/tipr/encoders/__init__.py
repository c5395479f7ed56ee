"""Networks: images or token ids in, embeddings out."""
