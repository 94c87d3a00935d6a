"""Titler's package. `requirements.lock` pins all of this with hashes; `make lock` renews it."""

from setuptools import find_namespace_packages, find_packages, setup

RUNTIME = [
    "annoy==1.17.3",
    "apache-airflow[postgres]==3.3.*",  # with the drivers for its metadata in production
    "boto3",  # MLflow reads and writes a bucket's artifacts with it
    "dask",
    "distributed",
    "duckdb",
    "filelock",  # locks between processes, in place of hand-written ones
    "fsspec[http]",
    "ftfy",  # ktext's engine needs it (through textacy)
    "gcsfs",
    "h5py",  # the light network reads the weights in Keras's file
    "google-cloud-bigquery",
    "google-cloud-bigquery-storage",  # rows come as Arrow
    "keras==3.15.*",
    "ktext==0.40",
    "matplotlib",
    "mlflow==3.17.*",
    "numpy",
    "psutil",  # infra/local_airflow.py ends what it started
    "pyarrow",
    "pydantic-settings",
    "rich",
    "rouge-score",
    "s3fs>=2026",
    "sacrebleu",
    "scikit-learn",  # the small models of `titler evaluate --downstream`; MLflow and textacy bring it anyway
    "sqlglot",
    "tenacity",  # retries with increasing waits, in place of hand-written loops
    "tensorflow-cpu",  # half the size of `tensorflow`; infra's GPU image replaces it
    "textacy==0.6.2",
    "tokenizers",  # subwords: byte-pair units for text mixed with code, quick in Rust
    "typer",
    "unidecode",  # ktext's engine needs it (through textacy)
]

KUBERNETES = [  # for images of an Airflow on KubernetesExecutor
    "apache-airflow-providers-cncf-kubernetes",
    "kubernetes",
]

LINEAGE = ["apache-airflow-providers-openlineage"]  # an operator's choice: docs/lineage.md

DEVELOPMENT = [
    *KUBERNETES,
    *LINEAGE,
    "cryptography",
    "furo",  # the documentation site's theme
    "hypothesis",
    "jax",  # on CPU: pipeline.networks.in_keras runs on it too, and it alone on several devices
    "mypy",
    "myst-parser",  # the documentation site: Markdown for Sphinx
    "pandas-stubs",
    "pre-commit",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "setuptools",
    "sphinx",  # the documentation site
    "uv",
    "wheel",
    "zetasql",  # GoogleSQL's own analyser and reference evaluator, which judge sql/
]

setup(
    name="titler",
    version="0.1.0",
    description="GitHub's public issues as a nightly data product: titles, embeddings, similar issues",
    python_requires=">=3.11,<3.13",
    packages=[
        *find_packages(include=["pipeline", "pipeline.*"]),
        *find_namespace_packages(include=["sql", "sql.*"]),
    ],
    package_data={
        "": ["*.sql"],  # sql/ lies beside pipeline/, in a wheel as in the repository
        "pipeline": ["py.typed"],  # type checkers read the package's annotations
    },
    install_requires=RUNTIME,
    extras_require={"dev": DEVELOPMENT, "kubernetes": KUBERNETES, "lineage": LINEAGE},
    entry_points={"console_scripts": ["titler = pipeline.cli:command"]},
)
