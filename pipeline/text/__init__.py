"""Converts text to ids and ids to text.

- Words, for the `gru` networks: `ktext` reproduces the tokens of the package ktext, `engine` chooses between
  our code and the package.
- Subwords, for the network `copy`: `markup` removes markup and `code_lines` removes machine output.
  `problem_first` puts the problem first and leaves out an issue template's lines, which `template_headings`
  and `template_lines` recognise. `subwords` has the vocabulary of subwords. `character_units` adds subwords
  for whole characters of some scripts. `title_targets` derives from a title what the network learns to write.
- Words and subwords: `vocabulary` has the word vocabulary and the two vocabularies of a model,
  `stored_vocabularies` loads them from the lake, `padding` makes arrays.
"""
