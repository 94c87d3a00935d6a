"""How good a model is: its titles, its confidence, its embeddings. Arrays and texts in, scores out."""
