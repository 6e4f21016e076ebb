import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from moe_vae.data import own
from moe_vae.data.checks import DataError
from moe_vae.data.own import ReadOptions, read_own
from moe_vae.data.stored import StoredImages

RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 128, (30, 4, 6)).astype(np.uint8)
INTS = BYTES.astype(int)
LABELS = np.arange(30) % 3
PARTS = ("train", "validation", "test")


def rows_of(data_sets):
    """Returns all images of the three parts, in bytes, as a sorted list of tuples."""
    images = np.concatenate([np.asarray(getattr(data_sets, part).images) for part in PARTS])
    return sorted(map(tuple, np.rint(images * 255)))


def sizes_of(data_sets):
    return [getattr(data_sets, part).num_examples for part in PARTS]


def refused(path, options=None):
    with pytest.raises(DataError) as caught:
        read_own(path, options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def save_npy(tmp_path, array, name="a.npy"):
    np.save(tmp_path / name, array)
    return tmp_path / name


# Arrays.


def test_an_array_of_bytes_is_images_in_three_parts(tmp_path):
    data_sets = read_own(save_npy(tmp_path, BYTES))
    assert sizes_of(data_sets) == [21, 3, 6]
    assert data_sets.train.shape == (4, 6)
    assert data_sets.train.images.dtype == np.float32
    assert data_sets.train.labels is None
    assert rows_of(data_sets) == sorted(map(tuple, BYTES.reshape(30, 24)))
    assert data_sets.name == "a.npy"


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (BYTES.astype(np.uint16) * 300, INTS * 300 / 65535),
        (BYTES.astype(np.int64), BYTES / 255),
        (BYTES.astype(np.int32) * 300, INTS * 300 / 65535),
        (BYTES.astype(np.float16) / 256, BYTES / 256),
        (BYTES.astype(np.float64) / 255, BYTES / 255),
        (BYTES.astype(">u2") * 300, INTS * 300 / 65535),
        (BYTES > 60, BYTES > 60),
        (np.asfortranarray(BYTES), BYTES / 255),
        (BYTES[..., None], BYTES / 255),
    ],
    ids=["uint16", "int64", "int32", "float16", "float64", "big-endian", "bool", "fortran", "grey"],
)
def test_images_of_every_type_are_scaled(tmp_path, array, values):
    path = save_npy(tmp_path, array)
    test = save_npy(tmp_path, array, "test.npy")
    data_sets = read_own(path, ReadOptions(test=test, invert=False))
    np.testing.assert_allclose(data_sets.test.images, values.reshape(30, 24), rtol=2e-6)


def test_colours_become_grey(tmp_path, capsys):
    colours = RANDOM.random((30, 4, 6, 3)).astype(np.float32)
    path = save_npy(tmp_path, colours)
    data_sets = read_own(path, ReadOptions(test=path))
    grey = colours @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(data_sets.test.images, grey.reshape(30, 24), rtol=1e-5)
    assert capsys.readouterr().err == "Notice: 30 colour images of 30 were made grey.\n" * 2


def test_rows_of_numbers_are_points_or_square_images(tmp_path):
    points = RANDOM.normal(size=[30, 9]) * 100
    data_sets = read_own(save_npy(tmp_path, points), ReadOptions(test=save_npy(tmp_path, points)))
    assert data_sets.test.shape == (9,)
    np.testing.assert_allclose(data_sets.test.images, points, rtol=1e-6)
    # The same bytes: as points they are not scaled.
    path = save_npy(tmp_path, BYTES.reshape(30, 24)[:, :9])
    assert read_own(path).train.images.max() > 1
    images = read_own(path, ReadOptions(kind="images")).train
    assert images.shape == (3, 3)
    assert images.images.max() <= 1
    assert read_own(save_npy(tmp_path, BYTES), ReadOptions(kind="points")).train.shape == (24,)


def test_rows_of_pixels_may_have_a_named_size(tmp_path):
    path = save_npy(tmp_path, BYTES.reshape(30, 24))
    data_sets = read_own(path, ReadOptions(kind="images", image_size=(4, 6)))
    assert data_sets.train.shape == (4, 6)
    assert "they must be square, or image_size must be given" in refused(
        path, ReadOptions(kind="images")
    )


def test_images_are_resized_and_said(tmp_path, capsys):
    path = save_npy(tmp_path, BYTES)
    assert read_own(path, ReadOptions(image_size=(8, 8))).train.shape == (8, 8)
    assert capsys.readouterr().err == (
        f"Notice: {path}: all images were resized to 8 x 8 pixels.\n"
    )


def test_all_images_are_inverted_together(tmp_path, capsys):
    path = save_npy(tmp_path, 255 - BYTES // 2)
    data_sets = read_own(path)
    assert rows_of(data_sets) == sorted(map(tuple, BYTES.reshape(30, 24) // 2))
    assert capsys.readouterr().err == (
        f"Notice: {path}: dark on light, so all images were inverted; invert=False keeps them.\n"
    )
    kept = read_own(path, ReadOptions(invert=False))
    assert rows_of(kept) == sorted(map(tuple, 255 - BYTES.reshape(30, 24) // 2))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["npz", "folder"])
def test_named_arrays(tmp_path, suffix):
    arrays = {
        "x_train": BYTES[:20],
        "y_train": LABELS[:20, None],
        "x_test": BYTES[20:],
        "y_test": LABELS[20:, None],
        "targets_test": np.arange(10.0),
        "something": np.array([{}], dtype=object),
    }
    path = tmp_path / "a.npz"
    if suffix == "npz":
        np.savez_compressed(path, allow_pickle=True, **arrays)
    else:
        path = tmp_path / "a"
        path.mkdir()
        for name, array in arrays.items():
            np.save(path / name, array)
    data_sets = read_own(path)
    np.testing.assert_allclose(data_sets.test.images, BYTES[20:].reshape(10, 24) / 255, rtol=1e-6)
    np.testing.assert_array_equal(data_sets.test.labels, LABELS[20:])
    np.testing.assert_array_equal(data_sets.test.targets, np.arange(10.0)[:, None])
    # A tenth would be 2, fewer than there are classes.
    assert sizes_of(data_sets) == [17, 3, 10]
    assert data_sets.class_names is None


def test_images_and_labels_stay_together(tmp_path):
    names = np.array(["cat", "ant", "bee"])[LABELS]
    np.savez(tmp_path / "a.npz", images=BYTES, labels=names)
    data_sets = read_own(tmp_path / "a.npz")
    assert data_sets.class_names == ("ant", "bee", "cat")
    name_of = {tuple(image.ravel()): name for image, name in zip(BYTES, names, strict=True)}
    for part in data_sets[:3]:
        for image, label in zip(np.rint(part.images * 255), part.labels, strict=True):
            assert name_of[tuple(image)] == data_sets.class_names[label]
    # Every class has the same share.
    assert [np.bincount(part.labels).tolist() for part in data_sets[:3]] == [
        [7, 7, 7],
        [1, 1, 1],
        [2, 2, 2],
    ]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS, None),
        (LABELS.astype(float), None),
        (LABELS + 1, ("1", "2", "3")),
        (LABELS * 5 - 5, ("-5", "0", "5")),
        (np.array(["9", "10", "11"])[LABELS], ("9", "10", "11")),
        (np.array(["0", "1", "2"])[LABELS], None),
        (np.array(["00", "01", "02"])[LABELS], ("00", "01", "02")),
        (LABELS > 1, ("False", "True")),
    ],
)
def test_labels_become_classes_from_0(tmp_path, labels, names):
    np.savez(tmp_path / "a.npz", images=BYTES, labels=labels)
    data_sets = read_own(tmp_path / "a.npz")
    assert data_sets.class_names == names
    n_classes = len(np.unique(labels))
    np.testing.assert_array_equal(np.unique(data_sets.train.labels), np.arange(n_classes))


# The split, and large sets.

SPLIT = """
import json, sys
from moe_vae.data.own import read_own
data_sets = read_own(sys.argv[1])
print(json.dumps([[part.checksum(), part.labels.tolist()] for part in data_sets[:3]]))
"""


@pytest.mark.process
def test_the_split_is_the_same_in_every_process(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=BYTES, labels=LABELS)
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    here = [[part.checksum(), part.labels.tolist()] for part in read_own(path)[:3]]
    assert np.random.get_state()[1].tolist() == before
    command = [sys.executable, "-c", SPLIT, str(path)]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONHASHSEED": "7",
    }
    answer = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert json.loads(answer) == here


def test_shares_and_paths(tmp_path):
    path = save_npy(tmp_path, BYTES)
    other = save_npy(tmp_path, BYTES[:5], "other.npy")
    assert sizes_of(read_own(path, ReadOptions(validation=0.5, test=0.3))) == [6, 15, 9]
    assert sizes_of(read_own(path, ReadOptions(validation=str(other)))) == [24, 5, 6]
    assert sizes_of(read_own(path, ReadOptions(validation=other, test=other))) == [30, 5, 5]


@pytest.mark.parametrize("kind", ["images", "points"])
def test_a_large_set_stays_in_its_file(tmp_path, monkeypatch, kind):
    path = save_npy(tmp_path, 255 - BYTES // 2)
    held = read_own(path, ReadOptions(kind=kind))
    monkeypatch.setattr(own, "HELD_BYTES", 0)
    stored = read_own(path, ReadOptions(kind=kind))
    for part in PARTS:
        images = getattr(stored, part).images
        assert isinstance(images, StoredImages)
        assert isinstance(images._pixels, np.memmap)
        np.testing.assert_array_equal(images[:], getattr(held, part).images)
        assert getattr(stored, part).checksum() == getattr(held, part).checksum()


# Folders of pictures.


def save_pictures(folder, images, size=None):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02}.{'png' if number % 2 else 'PNG'}")


def test_a_flat_folder_has_no_labels(tmp_path):
    save_pictures(tmp_path / "pictures", BYTES)
    (tmp_path / "pictures" / "README.txt").write_text("not a picture")
    (tmp_path / "pictures" / ".hidden.png").write_text("not a picture")
    data_sets = read_own(tmp_path / "pictures")
    assert rows_of(data_sets) == sorted(map(tuple, BYTES.reshape(30, 24)))
    assert data_sets.train.labels is None
    assert data_sets.class_names is None
    assert data_sets.name == "pictures"


def test_a_folder_for_each_class(tmp_path):
    for label, name in enumerate(("cat", "ant", "bee")):
        save_pictures(tmp_path / name, BYTES[label == LABELS])
    (tmp_path / ".cache").mkdir()
    data_sets = read_own(tmp_path)
    assert data_sets.class_names == ("ant", "bee", "cat")
    names = np.array(["cat", "ant", "bee"])[LABELS]
    name_of = {tuple(image.ravel()): name for image, name in zip(BYTES, names, strict=True)}
    for part in data_sets[:3]:
        for image, label in zip(np.rint(part.images * 255), part.labels, strict=True):
            assert name_of[tuple(image)] == data_sets.class_names[label]


@pytest.mark.parametrize("names", [("train", "val", "test"), ("train", "validation", "test")])
def test_folders_for_the_parts(tmp_path, names):
    for number, name in enumerate(names):
        for label in range(3):
            images = BYTES[label == LABELS][3 * number : 3 * number + 3]
            save_pictures(tmp_path / name / str(label), images)
    data_sets = read_own(tmp_path)
    assert sizes_of(data_sets) == [9, 9, 9]
    assert data_sets.class_names is None
    images = [BYTES[label == LABELS][6:9].reshape(3, 24) for label in range(3)]
    np.testing.assert_allclose(data_sets.test.images * 255, np.concatenate(images), atol=1e-4)
    np.testing.assert_array_equal(data_sets.test.labels, np.repeat(np.arange(3), 3))


def test_unlabelled_training_pictures_with_labelled_test_pictures(tmp_path):
    save_pictures(tmp_path / "train", BYTES)
    for label in range(3):
        save_pictures(tmp_path / "test" / str(label), BYTES[label == LABELS])
    data_sets = read_own(tmp_path)
    assert data_sets.train.labels is None
    np.testing.assert_array_equal(data_sets.test.labels, np.repeat(np.arange(3), 10))


def test_hidden_folders_in_a_class_are_passed_over(tmp_path):
    save_pictures(tmp_path / "cat", BYTES[:10])
    save_pictures(tmp_path / "dog", BYTES[10:20])
    save_pictures(tmp_path / "cat" / ".ipynb_checkpoints", BYTES[:10])
    assert sum(sizes_of(read_own(tmp_path))) == 20


def test_a_class_may_be_called_train(tmp_path):
    for name in ("train", "car"):
        save_pictures(tmp_path / name, BYTES[:10])
    assert read_own(tmp_path).class_names == ("car", "train")


def test_one_corrupt_picture_is_named_or_left_out(tmp_path, capsys):
    for label in range(3):
        save_pictures(tmp_path / str(label), BYTES[label == LABELS])
    bad = tmp_path / "1" / "02.PNG"
    bad.write_bytes(bad.read_bytes()[:60])
    assert refused(tmp_path).startswith(f"{bad}: is ")
    data_sets = read_own(tmp_path, ReadOptions(skip_bad=True))
    assert sum(sizes_of(data_sets)) == 29
    counts = sum(np.bincount(part.labels) for part in data_sets[:3])
    np.testing.assert_array_equal(counts, [10, 9, 10])
    notice = capsys.readouterr().err
    assert notice.startswith(f"Notice: 1 of 30 pictures was left out ({bad}: is ")
    assert notice.count("\n") == 1


# Tables.


@pytest.fixture
def pandas():
    return pytest.importorskip("pandas")


def save_table(pandas, path, **columns):
    frame = pandas.DataFrame(columns)
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_tables(pandas, tmp_path, suffix):
    values = RANDOM.normal(size=30)
    path = save_table(
        pandas,
        tmp_path / f"a{suffix}",
        width=values,
        label=np.array(["cat", "ant", "bee"])[LABELS],
        height=np.arange(30),
        target_1=values * 2,
        target_2=values * 3,
    )
    data_sets = read_own(path, ReadOptions(test=path))
    assert data_sets.class_names == ("ant", "bee", "cat")
    test = data_sets.test
    assert test.shape == (2,)
    np.testing.assert_allclose(test.images, np.c_[values, np.arange(30)], rtol=1e-6)
    np.testing.assert_allclose(test.targets, np.c_[values * 2, values * 3], rtol=1e-6)
    np.testing.assert_array_equal(test.labels, np.array([2, 0, 1])[LABELS])


def test_tables_are_read_in_pieces(pandas, tmp_path, monkeypatch):
    monkeypatch.setattr("moe_vae.data.tables.ROWS_AT_ONCE", 7)
    values = np.arange(30)
    for suffix in (".csv", ".parquet"):
        path = save_table(pandas, tmp_path / f"a{suffix}", a=values, b=values**2)
        test = read_own(path, ReadOptions(test=path)).test
        np.testing.assert_array_equal(test.images, np.c_[values, values**2])


def test_a_table_without_names(pandas, tmp_path, capsys):
    values = RANDOM.normal(size=[30, 3])
    path = tmp_path / "a.csv"
    np.savetxt(path, values, delimiter=",")
    test = read_own(path, ReadOptions(test=path)).test
    np.testing.assert_allclose(test.images, values, rtol=1e-6)
    assert (
        f"{path} has no names of columns: its first line is an example" in capsys.readouterr().err
    )


def test_a_table_of_pixels(pandas, tmp_path):
    pixels = {f"pixel{number}": BYTES[:, 0, number] for number in range(4)}
    path = save_table(pandas, tmp_path / "a.csv", label=LABELS, **pixels)
    test = read_own(path, ReadOptions(kind="images", test=path)).test
    assert test.shape == (2, 2)
    np.testing.assert_allclose(test.images, BYTES[:, 0, :4] / 255, rtol=1e-6)
    np.testing.assert_array_equal(test.labels, LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n1,2,3\n", "is no table (Error tokenizing data. C error: Expected 2 fields"),
        (b"a,b\n1,2,3\n1,2\n", "is no table ("),
        (b"a,b\n1,2\n3\n", "column 'b' is empty or NaN in row 2"),
        (b"a,b\n1,2\n3,nan\n", "column 'b' is empty or NaN in row 2"),
        (b"a,b\n1,2\n3,x\n", "column 'b' holds 'x': it must hold numbers"),
        (b"a,b\n1,2\n3,inf\n", "holds 1 NaN or infinite values: all must be finite"),
        (b"a,b\n1,2\n3,1e300\n", "holds 1 NaN or infinite values: all must be finite"),
        (b"a,b\n1,2\n3,\xe9\n", "is not UTF-8 text (invalid continuation byte)"),
        (b"a" * 140_000 + b",b\n1,2\n", "is no table (field larger than field limit (131072))"),
        (b'"a,b\n' + b"1,2\n" * 40_000, "is no table (field larger than field limit (131072))"),
        (b"a,b\n", "has no rows: it must have one for each example"),
        (b"", "is no table (No columns to parse from file)"),
        (b"label\n1\n2\n", "has no column beside label and targets: there must be some"),
        (b"a,label\n1,x\n2,\n", "row 2 has no label: all must have one"),
        (b"a,label\n1,1\n2,\n", "row 2 has no label: all must have one"),
        (b"a,label\n1,1.5\n2,1\n", "labels have dtype float64 and are not whole"),
    ],
)
def test_bad_tables_are_refused(pandas, tmp_path, content, message):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert refused(path).startswith(f"{path}: {message}")


def test_a_bad_parquet_file_is_refused(pandas, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    assert refused(path).startswith(f"{path}: is no Parquet file that can be read (")


def test_tables_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert refused(tmp_path / "a.csv").endswith(
        "tables need the package pandas, which is not installed: pip install 'moe_vae[tables]'"
    )


# What is refused.


def npz(**arrays):
    content = io.BytesIO()
    np.savez(content, allow_pickle=True, **arrays)
    return content.getvalue()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"images": np.array([{}], dtype=object)},
            "array 'images' holds Python objects, which are never unpickled",
        ),
        ({"pictures": BYTES}, "has the arrays pictures: it must have x_train (and y_train"),
        ({"labels": LABELS}, "has labels or targets for train, but no images for them"),
        ({"images": BYTES, "labels": LABELS[:29]}, "has 29 labels for 30 examples"),
        ({"images": BYTES, "targets": LABELS[:29]}, "has 29 targets for 30 examples"),
        ({"images": BYTES, "labels": np.eye(30)}, "labels have shape [30, 30]: it must be [n]"),
        ({"images": BYTES, "labels": LABELS + 0.5}, "labels have dtype float64 and are not whole"),
        (
            {"images": BYTES, "labels": np.r_[LABELS[:29], np.inf]},
            "labels range from 0 to inf: they must be whole numbers of 64 bits, or names",
        ),
        (
            {"images": BYTES, "labels": np.r_[LABELS[:29], -1e300]},
            "labels range from -1e+300 to 2: they must be whole numbers of 64 bits, or names",
        ),
        (
            {"images": BYTES, "labels": np.array([b"cat", b"\xff"] * 15)},
            "labels hold the bytes b'\\xff': names must be strings, or bytes in ASCII",
        ),
        (
            {"images": BYTES, "labels": np.r_[LABELS[:29], 7]},
            "class '7' has 1 example: it must have at least 3, one for each part of the split",
        ),
        (
            {"images": BYTES[:9], "labels": np.arange(9) % 4},
            "class '1' has 2 examples: it must have at least 3, one for each part of the split",
        ),
        (
            {"images": BYTES[:2]},
            "2 examples would be split into 1, 1 and 0: each part must have at",
        ),
        ({"images": BYTES[:0]}, "holds no images: there must be at least 1"),
        ({"images": BYTES * np.nan}, "holds NaN: images must have whole numbers in 0 to 255"),
        ({"images": BYTES * 1.0}, "has values from 0 to 127: images must have whole numbers"),
        ({"images": BYTES - 5.5}, "has values from -5.5 to 121.5: images must have whole"),
        ({"images": BYTES.astype(int) * 10**6}, "has values from 0 to 1.27e+08: images must"),
        ({"images": BYTES * 1j}, "has dtype complex128: it must be a type of numbers"),
        ({"images": BYTES.ravel()}, "has shape [720]: points must have the shape [n, n_features]"),
        ({"images": BYTES[None, None]}, "has shape [1, 1, 30, 4, 6]: images must have the shape"),
        (
            {"images": BYTES[:, None]},
            "has shape [30, 1, 4, 6]: images must have the shape [n, height, width]",
        ),
        (
            {"images": np.zeros([3, 1000, 1000], np.uint8)},
            "an example has 1000000 features, but each takes a weight for every unit",
        ),
        (
            {"images": np.zeros([3, 1000000], np.uint8)},
            "an example has 1000000 features, but each takes a weight for every unit",
        ),
        (
            {"x_train": BYTES, "x_test": BYTES[:, :3]},
            "test examples have shape [3, 6], training examples [4, 6]: they must have one shape",
        ),
        (
            {"x_train": BYTES, "y_train": LABELS, "x_test": BYTES, "y_test": LABELS + 1},
            "class '3' has test examples, but no training examples",
        ),
    ],
)
def test_bad_arrays_are_refused(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(**arrays))
    assert refused(path).startswith(f"{path}: {message}")


def test_a_class_that_one_part_uses_up_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=BYTES, labels=np.repeat([0, 1], [3, 27]))
    assert refused(tmp_path / "a.npz", ReadOptions(test=0.8)).endswith(
        "30 examples cannot be split so that each part has every class: some class has too few"
    )


def entry(shape, n_bytes):
    content = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, header)
    return content.getvalue() + bytes(n_bytes)


@pytest.mark.parametrize(
    ("shape", "n_bytes", "limit", "message"),
    [
        ((1 << 40, 28, 28), 10, None, "array 'images' holds 138 bytes, but its header promises"),
        ((10, 28, 28), 5_000_000, 1 << 20, "would take 0 GiB of memory: it must be at most"),
    ],
)
def test_bombs_are_not_unpacked(tmp_path, monkeypatch, shape, n_bytes, limit, message):
    if limit:
        monkeypatch.setattr("moe_vae.data.limits.MAX_UNPACKED_BYTES", limit)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("the file was unpacked"))
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", entry(shape, n_bytes))
    assert refused(path).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npz", b"hello", "is no .npz file that can be read (File is not a zip file)"),
        ("a.npz", npz(images=BYTES)[:500], "is no .npz file that can be read ("),
        ("a.npy", b"", "is no .npy file that can be read ("),
        ("a.npy", b"hello there, this is no array", "is no .npy file that can be read ("),
        ("a.npy", entry((100, 28, 28), 10), "is no .npy file that can be read ("),
        ("a.txt", b"hello", "must be a .npy, .npz, IDX, .csv, .tsv or .parquet file, or a folder"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert refused(tmp_path / name).startswith(f"{tmp_path / name}: {message}")


def test_objects_are_never_unpickled(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}, {}], dtype=object), allow_pickle=True)
    assert "holds Python objects, which are never unpickled" in refused(path)


def test_bad_folders_are_refused(tmp_path):
    assert "holds no pictures: there must be .png, .jpg" in refused(tmp_path)
    save_pictures(tmp_path / "cat", BYTES[:10])
    (tmp_path / "dog").mkdir()
    assert refused(tmp_path) == f"{tmp_path / 'dog'}: holds no pictures: each class must have some"
    save_pictures(tmp_path, BYTES[:2])
    assert "(00.PNG, ...) beside folders of pictures" in refused(tmp_path)
    save_pictures(tmp_path / "dog", [BYTES[0, :2]])
    assert "all must have one size, or image_size must be given" in refused(
        save_two_sizes(tmp_path / "two")
    )
    assert "a single picture is no data set" in refused(tmp_path / "cat" / "01.png")


def save_two_sizes(folder):
    save_pictures(folder, [*BYTES[:5], BYTES[0, :2]])
    return folder


def test_pictures_that_are_too_large_are_refused(tmp_path):
    save_pictures(tmp_path, [np.zeros([1000, 1000], np.uint8)])
    assert "an example has 1000000 features" in refused(tmp_path)


def test_paths_that_cannot_be_read_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    assert refused(tmp_path / "pipe.npy").endswith("no regular file; it must be a file or a folder")
    assert "No such file or directory; it must be a file or a folder" in refused(tmp_path / "none")
    assert "is no path" in refused("a\0b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "tables"}, "kind is 'tables': it must be one of images, points"),
        ({"image_size": (0, 5)}, "image_size is (0, 5): it must be (height, width)"),
        ({"image_size": (28,)}, "image_size is (28,): it must be (height, width)"),
        ({"image_size": 28}, "image_size is 28: it must be (height, width) in whole pixels"),
        ({"test": None}, "test is None: it must be above 0 and below 1, or a path"),
        ({"validation": (1, 2)}, "validation is (1, 2): it must be above 0 and below 1, or a"),
        ({"validation": 0}, "validation is 0: it must be above 0 and below 1, or a path"),
        ({"test": 1.5}, "test is 1.5: it must be above 0 and below 1, or a path"),
        ({"test": float("nan")}, "test is nan: it must be above 0 and below 1, or a path"),
    ],
)
def test_options_that_are_not_allowed(options, message):
    with pytest.raises(DataError) as caught:
        ReadOptions(**options)
    assert str(caught.value).startswith(message)


def test_shares_must_leave_training_examples(tmp_path):
    path = save_npy(tmp_path, BYTES)
    assert refused(path, ReadOptions(validation=0.5, test=0.5)) == (
        "validation and test are 0.5 and 0.5: together they must be below 1"
    )
    assert "No such file" in refused(path, ReadOptions(test=tmp_path / "none"))
    np.savez(tmp_path / "two.npz", x_train=BYTES, x_test=BYTES)
    assert refused(path, ReadOptions(test=tmp_path / "two.npz")).endswith(
        "has the parts train, test: test must be one set"
    )


def test_a_folder_without_training_examples_is_refused(tmp_path):
    header = np.array([0x803, *BYTES.shape], ">i4").tobytes()
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(header + BYTES.tobytes())
    message = refused(tmp_path)
    assert message.endswith("has test examples alone: there must be training examples")


def test_a_blank_after_the_comma_does_not_make_the_label_a_feature(tmp_path):
    rows = "\n".join(f"{i}, {i % 3}, {i % 2}" for i in range(30))
    (tmp_path / "table.csv").write_text(f"x, y, label\n{rows}\n")
    data_sets = read_own(tmp_path / "table.csv")
    assert data_sets.form.n_features == 2
    assert data_sets.form.n_classes == 2
