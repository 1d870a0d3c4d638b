"""Writes a BERT sentence encoder from plain weight files as one int8 ONNX graph.

The graph takes `input_ids` and `attention_mask` and returns `sentence_embedding`: token vectors are pooled and
scaled to length one inside the graph, so that every caller gets the same vectors. A second output, `middle_layers`,
holds the mean token vectors of the two layers before the last, side by side and not scaled: they are computed
anyway, and a classifier learns from them what the last layer has already thrown away. Only weight and
tokenizer files are read; no deep-learning framework is imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from learning.errors import EvergreenError

# Part of the identity of every vector: raise it when the graph below changes what it computes.
RECIPE = 2

# Layers before the last whose mean token vectors are given out; two were better than one or three.
MIDDLE_LAYERS = 2

# The next step for a file that is there but damaged.
COPY_AGAIN = "install or copy the model again"

_OPSET = 17
_IR_VERSION = 9


class EncoderError(EvergreenError):
    """The sentence encoder cannot be built or loaded."""


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
            raise EncoderError(
                f"model_type is {config.get('model_type')!r}, but only 'bert' can be built",
                str(path),
                "export the model to ONNX and name the directory of its model.onnx",
            )
        shape = BertShape(
            hidden=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            layer_norm_eps=float(config.get("layer_norm_eps", 1e-12)),
            pooling=_read_pooling(source),
        )
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"not a readable BERT config ({error})", str(path), COPY_AGAIN) from error
    if config.get("hidden_act", "gelu") != "gelu":
        raise EncoderError(f"hidden_act {config['hidden_act']!r} isn't supported", str(path), "use a 'gelu' model")
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
    raise EncoderError("only mean and cls pooling are supported", str(path), "export the model to ONNX")


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
        raise EncoderError(f"cannot be read ({error})", str(weights), COPY_AGAIN) from error
    except KeyError as error:
        raise EncoderError(f"has no tensor {error}, so it isn't a BERT encoder", str(weights), COPY_AGAIN) from error


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

        states = [self._embeddings()]
        for layer in range(self._shape.layers):
            states.append(self._layer(states[-1], f"encoder.layer.{layer}."))
        self._write_sentence(states[-1])
        middle = [self._mean(state) for state in states[:-1][-MIDDLE_LAYERS:]]
        self._op("Concat", middle, output="middle_layers", axis=-1)
        graph = helper.make_graph(
            self._nodes,
            "sentence_encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "tokens"]),
            ],
            [
                helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", self._shape.hidden]),
                helper.make_tensor_value_info(
                    "middle_layers", TensorProto.FLOAT, ["batch", len(middle) * self._shape.hidden]
                ),
            ],
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

    def _write_sentence(self, hidden: str) -> None:
        if self._shape.pooling == "cls":
            pooled = self._op("Gather", [hidden, self._scalar(0)], axis=1)
        else:
            pooled = self._mean(hidden)
        self._op("LpNormalization", [pooled], output="sentence_embedding", axis=-1, p=2)

    def _mean(self, hidden: str) -> str:
        mask = self._op("Unsqueeze", [self._op("Cast", ["attention_mask"], to=1), self._ints([-1])])
        total = self._op("ReduceSum", [self._op("Mul", [hidden, mask]), self._ints([1])], keepdims=0)
        count = self._op("ReduceSum", [mask, self._ints([1])], keepdims=0)
        return self._op("Div", [total, count])

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
