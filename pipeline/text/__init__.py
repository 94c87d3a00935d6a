"""From text to ids and back.

- Words, for the article's networks: `ktext` (how ktext's tokens are reproduced), `engine` (our code or ktext
  itself).
- Subwords, for the network `copy`: `markup` (what stays of an issue's text), `subwords` (the subword
  vocabulary).
- Both: `vocabulary` (the word vocabulary, and the pair of vocabularies of a model), `padding`.
"""
