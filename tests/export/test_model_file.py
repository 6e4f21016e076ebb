import dataclasses
import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from moe_vae.export import model_file
from moe_vae.export.model_file import (
    ModelFile,
    ModelFileError,
    halved,
    read_model_file,
    write_model_file,
)

CONTENT = ModelFile(
    model="conditional-vae",
    params={"z_dim": 3, "encoder_layers": [8]},
    shape=(28, 28),
    seed=42,
    variables={"dense/kernel": np.float32([[0.1, 2], [3, 4]]), "dense/bias": np.float32([1, 0.3])},
    n_classes=2,
    class_names=("shoe", "shirt"),
    metadata={"test": {"accuracy": 0.5}},
    signatures={"route": {"inputs": {}, "output": "x", "operations": []}},
    constants={"factors": np.float32([0.7])},
)


def members_of(path):
    """Returns the bytes of each member of a file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def as_member(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def text_of(members):
    return json.loads(np.load(io.BytesIO(members["architecture.npy"])).tobytes())


def with_text(members, sign=True, **parts):
    """Changes parts of the text, None deletes one; signed anew, as somebody could."""
    text = {**text_of(members), **parts}
    text = {name: value for name, value in text.items() if value is not None}
    if sign:
        text["checksum"] = model_file._checksum(text)
    stored = np.frombuffer(json.dumps(text).encode(), np.uint8)
    return {**members, "architecture.npy": as_member(stored)}


def with_array(members, name, array):
    """Changes an array and what the text says of it, as somebody could."""
    variables = {**text_of(members)["variables"], **model_file._described({name: array})}
    changed = with_text(members, variables=variables)
    return {**changed, f"{name}.npy": as_member(array)}


def test_a_file_holds_what_was_written(tmp_path):
    path = tmp_path / "new" / "model.npz"
    write_model_file(path, CONTENT)
    assert [each.name for each in path.parent.iterdir()] == ["model.npz"]
    read = read_model_file(path)
    for field in dataclasses.fields(ModelFile):
        found, written = getattr(read, field.name), getattr(CONTENT, field.name)
        if field.name in ("variables", "constants"):
            assert found.keys() == written.keys()
            for name, value in found.items():
                assert value.dtype == np.float32
                np.testing.assert_array_equal(value, written[name])
        else:
            assert found == written, field.name


def test_a_file_is_the_same_whenever_it_is_written(tmp_path):
    for name in ("first", "second"):
        write_model_file(tmp_path / name, CONTENT)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_numpy_reads_a_file_without_unpickling(tmp_path):
    write_model_file(tmp_path / "model.npz", CONTENT)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert set(file.files) == {"architecture", "dense/kernel", "dense/bias", "factors"}
        assert json.loads(file["architecture"].tobytes())["shape"] == [28, 28]


def test_half_precision_rounds_the_variables_and_nothing_else(tmp_path):
    write_model_file(tmp_path / "model.npz", CONTENT, half=True)
    read = read_model_file(tmp_path / "model.npz")
    kernel = read.variables["dense/kernel"]
    assert kernel.dtype == np.float32
    np.testing.assert_array_equal(kernel, np.float16(CONTENT.variables["dense/kernel"]))
    assert kernel[0, 0] != np.float32(0.1)
    np.testing.assert_array_equal(read.constants["factors"], CONTENT.constants["factors"])


def test_an_array_too_large_for_half_precision_keeps_its_own():
    assert halved(np.float32([65504])).dtype == np.float16
    large = np.float32([1, 1e5])
    assert halved(large) is large


def flipped(members):
    content = bytearray(members["dense/kernel.npy"])
    content[-1] ^= 1
    return {**members, "dense/kernel.npy": bytes(content)}


CHANGES = {
    "a changed weight": (flipped, "has been changed since it was written: array 'dense/kernel' "),
    "a changed text": (
        lambda members: with_text(members, sign=False, seed=43),
        "has been changed since it was written: 'architecture' differs",
    ),
    "no checksum": (
        lambda members: with_text(members, sign=False, checksum=None),
        "has been changed since it was written: 'architecture' differs",
    ),
    "a later version": (
        lambda members: with_text(members, format_version=2),
        "has format version 2: this moe_vae reads 1 to 1",
    ),
    "no version": (lambda members: with_text(members, format_version=None), "format version None"),
    "another format": (lambda members: with_text(members, format="x"), "is not a file of moe_vae"),
    "no params": (lambda members: with_text(members, params=None), "lacks 'params'"),
    "a list as params": (lambda members: with_text(members, params=[1]), "has [1] as 'params'"),
    "a missing array": (
        lambda members: {k: v for k, v in members.items() if k != "dense/bias.npy"},
        "lacks the array 'dense/bias'",
    ),
    "an array more": (
        lambda members: {**members, "more.npy": as_member(np.zeros(2))},
        "has besides the array 'more'",
    ),
    "another shape": (
        lambda members: {**members, "dense/bias.npy": as_member(np.float32([[1], [0.3]]))},
        "array 'dense/bias' has another shape",
    ),
    "another type": (
        lambda members: {**members, "dense/bias.npy": as_member(np.int32([1, 2]))},
        "array 'dense/bias' has another dtype",
    ),
    "a bomb": (
        lambda members: {**members, "dense/bias.npy": as_member(np.zeros(10**6))},
        "array 'dense/bias' has 8000128 bytes: it may have 8",
    ),
    "no text": (
        lambda members: {k: v for k, v in members.items() if k != "architecture.npy"},
        "is not a file of moe_vae",
    ),
    "a text that is no JSON": (
        lambda members: {**members, "architecture.npy": as_member(np.frombuffer(b"{", np.uint8))},
        "is not a file of moe_vae",
    ),
    "an array that is none": (
        lambda members: {**members, "dense/bias.npy": b"123456789"},
        "array 'dense/bias' cannot be read",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_refused_in_one_line(change, tmp_path):
    path = tmp_path / "model.npz"
    write_model_file(path, CONTENT)
    alter, message = CHANGES[change]
    write_members(path, alter(members_of(path)))
    with pytest.raises(ModelFileError) as raised:
        read_model_file(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "model.npz"
    write_model_file(path, CONTENT)
    trap = np.empty(2, object)
    trap[:] = Trap()
    write_members(path, {**members_of(path), "dense/bias.npy": as_member(trap, allow_pickle=True)})
    with pytest.raises(ModelFileError, match=r"array 'dense/bias' cannot be read \(Object arrays"):
        read_model_file(path)


FOREIGN = {
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a pickle": pickle.dumps({"a": 1}),
    "nothing": b"",
}


@pytest.mark.parametrize("content", FOREIGN)
def test_a_foreign_file_is_refused(content, tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(FOREIGN[content])
    with pytest.raises(ModelFileError, match=r"model.npz is damaged, or not a file of moe_vae"):
        read_model_file(path)


def test_an_archive_of_someone_else_is_refused(tmp_path):
    np.savez(tmp_path / "model.npz", x_train=np.zeros(3))
    with pytest.raises(ModelFileError, match=r"model.npz is not a file of moe_vae$"):
        read_model_file(tmp_path / "model.npz")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused(share, tmp_path):
    path = tmp_path / "model.npz"
    write_model_file(path, CONTENT)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelFileError, match=r"model.npz is damaged"):
        read_model_file(path)


@pytest.mark.parametrize("bits", [0x01, 0x0C, 0xFF])
def test_every_changed_byte_of_an_array_is_found(bits, tmp_path):
    path = tmp_path / "model.npz"
    write_model_file(path, CONTENT)
    content, accepted = path.read_bytes(), 0
    for place in range(0, len(content), 5):
        changed = bytearray(content)
        changed[place] ^= bits
        path.write_bytes(changed)
        try:
            read = read_model_file(path)
        except ModelFileError:
            continue
        accepted += 1  # dates and the like, which nothing reads
        assert read.params == CONTENT.params
        for name, value in CONTENT.variables.items():
            np.testing.assert_array_equal(read.variables[name], value)
    assert accepted < len(content) / 10


def test_an_earlier_version_is_upgraded_step_by_step(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    write_model_file(path, CONTENT)
    monkeypatch.setattr(model_file, "FORMAT_VERSION", 3)
    upgrades = {
        1: lambda text: {**text, "metadata": {"steps": ["2"]}},
        2: lambda text: {**text, "metadata": {"steps": [*text["metadata"]["steps"], "3"]}},
    }
    monkeypatch.setattr(model_file, "_UPGRADES", upgrades)
    assert read_model_file(path).metadata == {"steps": ["2", "3"]}


RECORDED = Path(__file__).parents[1] / "recorded" / "model_files"


def test_there_is_a_recorded_file_of_every_version():
    names = [f"version-{each + 1}.npz" for each in range(model_file.FORMAT_VERSION)]
    assert sorted(path.name for path in RECORDED.glob("*.npz")) == names
