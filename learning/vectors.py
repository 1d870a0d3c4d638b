"""The type of embedding matrices, named once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[Any]
