"""Lets `python -m pipeline.cli` run the same command line as `titler`."""

from pipeline.cli import command

command()
