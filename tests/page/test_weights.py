import base64
import zlib

import numpy as np
import pytest

from moe_vae.page.weights import STEPS, pack_arrays, pack_bytes

RANDOM = np.random.default_rng(0)
VARIABLES = {
    "kernel": RANDOM.normal(0, 0.1, [100, 50]).astype(np.float32),
    "filters": RANDOM.normal(0, 2, [3, 3, 16, 32]).astype(np.float32),
    "bias": RANDOM.normal(0, 1, 50).astype(np.float32),
}


def unpacked(text):
    return zlib.decompress(base64.b64decode(text))


def test_bytes_are_packed_without_loss():
    parts = [RANDOM.integers(0, 256, 1000, np.uint8).tobytes(), b"", b"abc" * 50]
    assert unpacked(pack_bytes(*parts)) == b"".join(parts)


def test_half_precision_keeps_what_numpy_keeps():
    packed = pack_arrays(VARIABLES, {}, None)
    assert [each["kind"] for each in packed.described] == ["half"] * 3
    expected = [value.astype("<f2").tobytes() for value in VARIABLES.values()]
    assert unpacked(packed.text) == b"".join(expected)
    for name, value in VARIABLES.items():
        np.testing.assert_array_equal(packed.rounded[name], value.astype(np.float16))


@pytest.mark.parametrize("steps", STEPS[1:])
def test_a_rounded_weight_is_within_half_a_step_of_its_column(steps):
    packed = pack_arrays(VARIABLES, {}, steps)
    kinds = {each["name"]: each["kind"] for each in packed.described}
    assert kinds == {"kernel": "steps", "filters": "steps", "bias": "half"}
    for name in ("kernel", "filters"):
        value = VARIABLES[name]
        columns = value.reshape(-1, value.shape[-1])
        step = np.maximum(np.sqrt((columns**2).mean(0)) / steps, np.abs(columns).max(0) / 127)
        errors = np.abs(packed.rounded[name] - value)
        assert (errors <= step * 0.501).all()
        assert errors.max() > 0.4 * step.min()


def test_the_bytes_hold_the_rounded_weights():
    packed = pack_arrays({"kernel": VARIABLES["kernel"]}, {}, 6)
    content = unpacked(packed.text)
    whole = np.frombuffer(content[:5000], np.int8).reshape(100, 50)
    step = np.frombuffer(content[5000:], "<f4")
    np.testing.assert_array_equal(packed.rounded["kernel"], whole * step)


def test_a_column_of_zeros_stays_so():
    value = np.zeros([100, 50], np.float32)
    np.testing.assert_array_equal(pack_arrays({"w": value}, {}, 6).rounded["w"], value)


def test_constants_are_not_rounded():
    constant = VARIABLES["kernel"]
    packed = pack_arrays({}, {"constant": constant}, 5)
    assert packed.described == [{"name": "constant", "shape": [100, 50], "kind": "single"}]
    np.testing.assert_array_equal(packed.rounded["constant"], constant)
    assert unpacked(packed.text) == constant.tobytes()


def test_what_half_precision_cannot_hold_stays_in_single_precision():
    large = np.array([1e6, 1], np.float32)
    packed = pack_arrays({"large": large}, {}, 6)
    assert packed.described[0]["kind"] == "single"
    np.testing.assert_array_equal(packed.rounded["large"], large)
