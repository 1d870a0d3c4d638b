"""Writes a BERT sentence encoder from plain weight files as one int8 ONNX graph.

The graph takes `input_ids` and `attention_mask` and returns `sentence_embedding`: token vectors are pooled and
scaled to length one inside the graph, so that every caller gets the same vectors. Only weight and tokenizer
files are read; no deep-learning framework is imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

# Part of the identity of every vector: raise it when the graph below changes what it computes.
RECIPE = 1

_OPSET = 17
_IR_VERSION = 9


class EncoderBuildError(Exception):
    """A sentence-encoder directory cannot be turned into a graph."""


@dataclass(frozen=True)
class BertShape:
    """The sizes of a BERT encoder, as its `config.json` states them."""

    hidden: int
    layers: int
    heads: int
    layer_norm_eps: float
    pooling: str  # "mean" or "cls"


def read_shape(source: Path) -> BertShape:
    """Reads the sizes of the encoder in a sentence-transformers directory."""
    path = source / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.get("model_type") != "bert":
            raise EncoderBuildError(
                f"{path}: model_type is {config.get('model_type')!r}; only 'bert' can be built. "
                "Export the model to ONNX and name the directory of its model.onnx instead."
            )
        shape = BertShape(
            hidden=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            layer_norm_eps=float(config.get("layer_norm_eps", 1e-12)),
            pooling=_read_pooling(source),
        )
    except (OSError, ValueError, KeyError) as error:
        raise EncoderBuildError(f"{path}: not a readable BERT config ({error}); copy the model again.") from error
    if config.get("hidden_act", "gelu") != "gelu":
        raise EncoderBuildError(f"{path}: hidden_act {config['hidden_act']!r} isn't supported; use a 'gelu' model.")
    return shape


def _read_pooling(source: Path) -> str:
    path = source / "1_Pooling" / "config.json"
    if not path.exists():
        return "mean"
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.get("pooling_mode_cls_token"):
        return "cls"
    if config.get("pooling_mode_mean_tokens", True):
        return "mean"
    raise EncoderBuildError(f"{path}: only mean and cls pooling are supported; export the model to ONNX instead.")


def build_graph(source: Path) -> Any:
    """Returns the fp32 ONNX model of the BERT encoder in a sentence-transformers directory."""
    from safetensors import SafetensorError  # type: ignore[attr-defined]  # it is there, its stub leaves it out
    from safetensors.numpy import load_file

    shape = read_shape(source)
    weights = source / "model.safetensors"
    try:
        tensors = load_file(str(weights))
        return _Writer(shape, tensors).model()
    except (OSError, SafetensorError) as error:
        raise EncoderBuildError(f"{weights}: cannot be read ({error}); install or copy the model again.") from error
    except KeyError as error:
        raise EncoderBuildError(
            f"{weights}: has no tensor {error}; it isn't the weight file of a BERT encoder."
        ) from error


def quantize(model: Any, target: Path) -> None:
    """Writes the int8 version of an fp32 graph: int8 weights, activations scaled as they come."""
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    # The quantizer warns on the root logger that a graph could be pre-processed; this one gains nothing from it.
    root.setLevel(logging.ERROR)
    try:
        quantize_dynamic(
            model,
            str(target),
            op_types_to_quantize=["MatMul", "Attention", "Gather"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            # 7-bit weights: CPUs without VNNI saturate on 8 x 8 bits, and vectors must agree between machines.
            reduce_range=True,
            extra_options={"DefaultTensorType": 1},  # shape inference knows no fused attention: it is float
        )
    finally:
        root.setLevel(level)


class _Writer:
    """Writes one encoder graph, node after node."""

    def __init__(self, shape: BertShape, tensors: dict[str, NDArray[np.float32]]) -> None:
        self._shape = shape
        prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""
        self._tensors = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
        self._nodes: list[Any] = []
        self._initializers: list[Any] = []
        self._count = 0

    def model(self) -> Any:
        """Returns the finished, checked model."""
        import onnx
        from onnx import TensorProto, helper

        hidden = self._embeddings()
        for layer in range(self._shape.layers):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        self._pool(hidden)
        graph = helper.make_graph(
            self._nodes,
            "sentence_encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"]),
            ],
            [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", self._shape.hidden])],
            self._initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)],
            ir_version=_IR_VERSION,
            producer_name="evergreen",
        )
        onnx.checker.check_model(model)
        return model

    def _embeddings(self) -> str:
        positions = self._weight("embeddings.position_embeddings.weight")
        # All tokens are of the first segment, so its vector is folded into the positions.
        positions = positions + self._weight("embeddings.token_type_embeddings.weight")[0]
        words = self._op("Gather", [self._constant(self._weight("embeddings.word_embeddings.weight")), "input_ids"])
        length = self._op("Gather", [self._op("Shape", ["input_ids"]), self._ints([1])])
        place = self._op("Slice", [self._constant(positions), self._ints([0]), length, self._ints([0])])
        return self._norm(self._op("Add", [words, place]), "embeddings.LayerNorm")

    def _layer(self, hidden: str, prefix: str) -> str:
        names = [f"{prefix}attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._weight(f"{name}.weight").T for name in names], axis=1)
        bias = np.concatenate([self._weight(f"{name}.bias") for name in names])
        mask = self._op("Cast", ["attention_mask"], to=6)  # the fused attention wants an int32 mask
        attended = self._op(
            "Attention",
            [hidden, self._constant(weight), self._constant(bias), mask],
            domain="com.microsoft",
            num_heads=self._shape.heads,
        )
        projected = self._dense(attended, f"{prefix}attention.output.dense")
        hidden = self._norm(self._op("Add", [projected, hidden]), f"{prefix}attention.output.LayerNorm")
        inner = self._gelu(self._dense(hidden, f"{prefix}intermediate.dense"))
        outer = self._dense(inner, f"{prefix}output.dense")
        return self._norm(self._op("Add", [outer, hidden]), f"{prefix}output.LayerNorm")

    def _pool(self, hidden: str) -> None:
        if self._shape.pooling == "cls":
            pooled = self._op("Gather", [hidden, self._scalar(0)], axis=1)
        else:
            mask = self._op("Unsqueeze", [self._op("Cast", ["attention_mask"], to=1), self._ints([-1])])
            total = self._op("ReduceSum", [self._op("Mul", [hidden, mask]), self._ints([1])], keepdims=0)
            count = self._op("ReduceSum", [mask, self._ints([1])], keepdims=0)
            pooled = self._op("Div", [total, count])
        self._op("LpNormalization", [pooled], output="sentence_embedding", axis=-1, p=2)

    def _dense(self, value: str, name: str) -> str:
        product = self._op("MatMul", [value, self._constant(self._weight(f"{name}.weight").T)])
        return self._op("Add", [product, self._constant(self._weight(f"{name}.bias"))])

    def _norm(self, value: str, name: str) -> str:
        scale, bias = (self._constant(self._weight(f"{name}.{part}")) for part in ("weight", "bias"))
        return self._op("LayerNormalization", [value, scale, bias], axis=-1, epsilon=self._shape.layer_norm_eps)

    def _gelu(self, value: str) -> str:
        erf = self._op("Erf", [self._op("Div", [value, self._float(np.sqrt(2.0))])])
        product = self._op("Mul", [value, self._op("Add", [erf, self._float(1.0)])])
        return self._op("Mul", [product, self._float(0.5)])

    def _weight(self, name: str) -> NDArray[np.float32]:
        return cast("NDArray[np.float32]", self._tensors[name].astype(np.float32))

    def _float(self, value: float) -> str:
        return self._constant(np.array(value, dtype=np.float32))

    def _scalar(self, value: int) -> str:
        return self._constant(np.array(value, dtype=np.int64))

    def _ints(self, values: list[int]) -> str:
        return self._constant(np.array(values, dtype=np.int64))

    def _constant(self, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"c{len(self._initializers)}"
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _op(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        self._count += 1
        output = output or f"v{self._count}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}_{self._count}", **attributes))
        return output
