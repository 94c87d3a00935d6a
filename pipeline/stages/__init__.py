"""The stages, in the order in which the data passes through them.

    extract clean
    vocab vectorize train evaluate promote              for a model
    plan vectorize embed predict index publish collect  for a release

A stage is a short driver around a pure function. The driver finds the manifests of its inputs, returns the
existing batch if one was made from the same inputs, and otherwise opens a draft, maps the pure function over
the files and commits. The pure function takes Arrow tables and returns one; it knows nothing of paths, dates
or Dask.
"""
