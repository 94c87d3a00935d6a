"""Converts text to ids and ids to text.

- The networks `gru` and `gru_cudnn` read words. The module `ktext` splits text into the same words as the
  package ktext. `engine` chooses between our module and the package.
- The network `copy` reads subwords. So does the part of the network `pretrained` that computes embeddings.
  First, `markup` removes markup, and `code_lines` removes machine output. `problem_first` moves the problem
  to the front and removes the lines of an issue template, which `template_headings` and `template_lines`
  recognise. `subwords` has the vocabulary of subwords.
  `character_units` adds subwords for whole characters of some scripts. `title_targets` derives from an
  author's title the title that the network learns to write.
- The search by words reads terms. `issue_terms` splits issues into terms.
- All networks use `vocabulary`. It defines the vocabulary of words, and the pair of vocabularies of a
  model: one for bodies, one for titles. `stored_vocabularies` loads this pair from the lake. `padding` makes
  arrays of ids.
"""
