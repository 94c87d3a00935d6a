"""Measures how good a model is: its titles, its confidence and its embeddings.

The functions take arrays and texts, and return scores.
"""
