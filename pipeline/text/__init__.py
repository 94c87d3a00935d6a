"""Converts text to ids and ids to text.

- Words, for the `gru` networks: `ktext` reproduces the tokens of the package ktext, `engine` chooses between
  it and ktext itself.
- Subwords, for the network `copy`: `markup` removes markup and, with `code_lines`, machine output;
  `problem_first` leaves out a template's lines (`template_headings`, `template_lines`); `subwords` has the
  vocabulary, in which `character_units` gives characters of some scripts units of their own.
- Training: `title_targets` has what a network of subwords learns to write.
- Both: `vocabulary` has the word vocabulary and the two vocabularies of a model, `padding` makes arrays.
"""
