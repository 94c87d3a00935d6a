"""Checks that every file that releases, models and source days need is intact: `titler verify`."""

from pipeline.serving.verification.verify import Verification, verify

__all__ = ["Verification", "verify"]
