"""The HTTP server of `titler serve`: titles and similar issues from the current release."""
