"""Generates a sample: invented hour files like those of GH Archive. See `pipeline.sample.generate`."""

from pipeline.sample.generate import MALFORMED_LINES, MIN_ISSUES_PER_DAY, Sample, write

__all__ = ["MALFORMED_LINES", "MIN_ISSUES_PER_DAY", "Sample", "write"]
