"""`python -m pipeline.cli` is `titler`."""

from pipeline.cli import command

command()
