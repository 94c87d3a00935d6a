"""Checks that the files of releases, models and source days are intact: `titler verify`."""

from pipeline.serving.verification.verify import Verification, verify

__all__ = ["Verification", "verify"]
