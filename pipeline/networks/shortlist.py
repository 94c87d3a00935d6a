"""Chooses which units (subwords) may occur in a title, so that decoding need not consider every unit.

Most of the work of writing a title is the matrix product from which each unit (subword) of the vocabulary
gets its probability. But nearly all units of a title are among the most frequent units of titles, or they
are in the body. So decoding considers only these: the shortlist of the model, and the units of the body. All
other units get the probability 0.

Source: Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation", 3.2. The
article adds the translations that a dictionary has for the words of the source text. Titler adds the units of
the body instead.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pipeline.networks.shape import PAD, UNKNOWN, Ids


def most_frequent_units(
    titles: Iterable[Ids], vocabulary: int, size: int, markers: tuple[int, int]
) -> Ids | None:
    """Returns the shortlist: the `size` most frequent units (subwords) of titles, in ascending order of their
    ids.

    `titles` yields arrays (n, title_length) of ids below `vocabulary`. The shortlist always contains PAD,
    UNKNOWN and `markers`, which are the ids of _start_ and _end_. Of units that are equally frequent, those
    with the lower ids are chosen. Returns None if `size` is 0, or if the vocabulary is no larger than `size`.
    None stands for the whole vocabulary.
    """
    if not 0 < size < vocabulary:
        return None
    counts = np.zeros(vocabulary, np.int64)
    for ids in titles:
        counts += np.bincount(ids.reshape(-1), minlength=vocabulary)
    counts[[PAD, UNKNOWN, *markers]] = np.iinfo(np.int64).max
    most_frequent = np.argsort(-counts, kind="stable")[:size]
    return np.sort(most_frequent).astype(np.int32)
