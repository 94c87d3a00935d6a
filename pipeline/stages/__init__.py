"""The stages of the pipeline, in the order in which the data passes through them.

    for each day     extract clean
    for a model      vocab vectorize train evaluate promote
    for a release    plan vectorize embed predict index publish collect

Most stages are a short driver around a pure function. The driver finds the manifests (descriptions) of the
batches (folders of files) that it reads. If a batch was already made from the same inputs, the driver returns
that batch. Otherwise it starts a new batch, applies the pure function to every input file and commits the
batch. The pure function takes Arrow tables and returns one Arrow table. It knows nothing of paths, dates or
Dask.
"""
