"""The generated sample. `pipeline.sample.generate` explains it."""

from pipeline.sample.generate import MALFORMED_LINES, MIN_ISSUES_PER_DAY, Sample, write

__all__ = ["MALFORMED_LINES", "MIN_ISSUES_PER_DAY", "Sample", "write"]
