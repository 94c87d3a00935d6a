"""The network `pretrained`: an encoder-decoder of the library KerasHub, fine-tuned to write titles.

This is the only package that imports `keras_hub`, which is an optional dependency (the extra `pretrained`).
"""
