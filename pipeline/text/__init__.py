"""Text to numbers: ktext's cleaning and tokens, and the vocabularies that turn tokens into ids."""
