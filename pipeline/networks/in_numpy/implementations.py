"""Maps the name of each variant of the network to its implementation in NumPy.

The module `pipeline.networks.variants` describes the variants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from pipeline.networks.in_numpy.beam_search import Decoder
from pipeline.networks.in_numpy.copy import Copy
from pipeline.networks.in_numpy.gru import Gru
from pipeline.networks.in_numpy.gru_cells import ArticleGruCell, CudnnGruCell
from pipeline.networks.in_numpy.weights_file import Weights
from pipeline.networks.shape import Description

IMPLEMENTATIONS: Mapping[str, Callable[[Description, Weights], Decoder]] = MappingProxyType(
    {"gru": partial(Gru, ArticleGruCell), "gru_cudnn": partial(Gru, CudnnGruCell), "copy": Copy}
)
