"""Converts text to ids and ids to text.

- Words, for the `gru` networks: `ktext` gives the same tokens as the package ktext. `engine` chooses between
  our code and the package.
- Subwords, for the network `copy`: `markup` removes markup, and `code_lines` removes machine output.
  `problem_first` puts the problem first and leaves out the lines of an issue template. `template_headings`
  and `template_lines` recognise these lines. `subwords` has the vocabulary of subwords. `character_units`
  adds subwords for whole characters of some scripts. `title_targets` derives from an author's title the
  title that the network learns to write.
- Words and subwords: `vocabulary` has the word vocabulary, and the pair of vocabularies of a model.
  `stored_vocabularies` loads this pair from the lake. `padding` makes arrays of ids.
"""
