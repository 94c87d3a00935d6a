"""Titler's package and its dependencies. `requirements.lock` pins them with hashes; `make lock` updates
it."""

from setuptools import find_namespace_packages, find_packages, setup

RUNTIME = [
    "annoy==1.17.3",
    "apache-airflow[postgres]==3.3.*",  # with the driver for its metadata database in production
    "boto3",  # MLflow needs it for artifacts in an S3 bucket
    "dask",
    "distributed",
    "duckdb",
    "fastapi",  # the paths of `titler serve`
    "filelock",  # locks between processes, in place of hand-written ones
    "fsspec[http]",
    "ftfy",  # for the text engine `ktext`, through textacy
    "gcsfs",
    "h5py",  # reads Keras's weights without Keras
    "google-cloud-bigquery",
    "google-cloud-bigquery-storage",  # returns rows as Arrow tables
    "jinja2",  # the page of `titler report`
    "keras==3.15.*",
    "ktext==0.40",
    "markupsafe",  # HTML that is escaped already, in the page of `titler report`
    "matplotlib",
    "mlflow==3.17.*",
    "numkong",  # matrix products of vectors with 8 bits per number
    "numpy",
    "opentelemetry-exporter-otlp-proto-http",  # metrics and traces, if telemetry.otlp_endpoint is set
    "opentelemetry-sdk",
    "psutil",  # infra/local_airflow.py ends the processes that it started
    "pyarrow",
    "pydantic-settings",
    "pytz",  # DuckDB needs it to return a TIMESTAMP WITH TIME ZONE to Python, as in docs/querying.md
    "rich",
    "rouge-score",
    "s3fs>=2026",
    "sacrebleu",
    "scikit-learn",  # TF-IDF, AUC, the models of `titler evaluate --downstream`
    "sqlglot",
    "tenacity",  # retries with increasing waits, in place of hand-written loops
    "tensorflow-cpu",  # half the size of `tensorflow`; the GPU image replaces it
    "textacy==0.6.2",
    "threadpoolctl",  # switches off the threads of NumPy's matrix products
    "tokenizers",  # byte-pair encoding, in Rust
    "typer",
    "unidecode",  # for the text engine `ktext`, through textacy
    "uvicorn",  # the HTTP server of `titler serve`
]

KUBERNETES = [  # for an Airflow with KubernetesExecutor
    "apache-airflow-providers-cncf-kubernetes",
    "kubernetes",
]

LINEAGE = ["apache-airflow-providers-openlineage"]  # optional: docs/lineage.md

PRETRAINED = [  # optional: the network `pretrained`, docs/choosing-a-network.md
    "keras-hub==0.32.*",
    "huggingface-hub",  # downloads presets
    "safetensors",  # reads checkpoints in the format of Hugging Face
]

DEVELOPMENT = [
    *KUBERNETES,
    *LINEAGE,
    *PRETRAINED,
    "cryptography",
    "furo",  # the documentation site's theme
    "hypothesis",
    "jax",  # on CPU, in the tests: the second Keras backend, and the only one for several devices
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
    "zetasql",  # GoogleSQL's own analyser and reference evaluator; the tests check sql/ with them
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
        "pipeline.serving.http": ["*.html"],
        "pipeline.serving.report": ["templates/*"],
    },
    install_requires=RUNTIME,
    extras_require={
        "dev": DEVELOPMENT,
        "kubernetes": KUBERNETES,
        "lineage": LINEAGE,
        "pretrained": PRETRAINED,
    },
    entry_points={"console_scripts": ["titler = pipeline.cli:command"]},
)
