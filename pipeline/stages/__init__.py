"""The stages, in the order in which the data passes through them.

    extract clean
    vocab vectorize train evaluate promote              for a model
    plan vectorize embed predict index publish collect  for a release

Most stages are a short driver around a pure function. The driver finds the manifests of its inputs. If a
batch was already made from the same inputs, the driver returns that batch. Otherwise it starts a new batch,
applies the pure function to every file and commits the batch. The pure function takes Arrow tables and
returns one. It knows nothing of paths, dates or Dask.
"""
