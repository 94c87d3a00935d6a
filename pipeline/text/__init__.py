"""Converts text to ids and ids to text.

- Words, for the `gru` networks: `ktext` reproduces the tokens of the package ktext, `engine` chooses between
  it and ktext itself.
- Subwords, for the network `copy`: `markup` removes markup and machine output, `subwords` has the vocabulary.
- Both: `vocabulary` has the word vocabulary and the two vocabularies of a model, `padding` makes arrays.
"""
