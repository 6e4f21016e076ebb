import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from moe_vae.data.checks import DataError
from moe_vae.data.folders import read_images
from moe_vae.data.pictures import read_pictures
from moe_vae.data.pixels import fit_to_size

RANDOM = np.random.default_rng(0)
DARK = RANDOM.integers(0, 100, (6, 5)).astype(np.uint8)
COLOURS = RANDOM.integers(0, 150, (6, 5, 3)).astype(np.uint8)


def save(tmp_path, image, name="a.png", **options):
    Image.fromarray(image).save(tmp_path / name, **options)
    return tmp_path / name


def read_picture(path, image_size=None, **options):
    images, shape, files = read_images(path, image_size, **options)
    assert files == [path]
    return images.reshape(shape)


def test_grey_pictures_are_read_exactly(tmp_path, capsys):
    image = read_picture(save(tmp_path, DARK))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, DARK / 255, rtol=1e-6)
    assert capsys.readouterr().err == ""


def test_16_bits_are_read_exactly(tmp_path):
    deep = RANDOM.integers(0, 40000, (6, 5)).astype(np.uint16)
    np.testing.assert_allclose(read_picture(save(tmp_path, deep)), deep / 65535, rtol=1e-6)
    path = save(tmp_path, deep, "a.tif")
    np.testing.assert_allclose(read_picture(path), deep / 65535, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "RGB"), ("a.png", "P"), ("a.tif", "CMYK"), ("a.tif", "YCbCr"), ("a.webp", "RGB")],
)
def test_colours_become_grey_as_pillow_makes_them(tmp_path, name, mode, capsys):
    picture = Image.fromarray(COLOURS).convert(mode)
    picture.save(tmp_path / name, **({"lossless": True} if name == "a.webp" else {}))
    expected = np.asarray(picture.convert("RGB").convert("L")) / 255
    np.testing.assert_allclose(read_picture(tmp_path / name), expected, atol=1.01 / 255)
    assert capsys.readouterr().err == "Notice: 1 colour picture was made grey.\n"


def test_a_grey_picture_with_three_channels_is_no_colour_picture(tmp_path, capsys):
    path = save(tmp_path, np.repeat(DARK[..., None], 3, axis=-1))
    np.testing.assert_allclose(read_picture(path), DARK / 255, atol=1e-6)
    assert capsys.readouterr().err == ""


def test_black_and_white_pictures(tmp_path):
    Image.fromarray(DARK > 80).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), DARK > 80)


@pytest.mark.parametrize(("ink", "background"), [(30, 255), (220, 0)])
def test_transparent_pictures_are_laid_on_what_their_ink_stands_out_from(
    tmp_path, ink, background, capsys
):
    opacity = np.array([[0, 255], [128, 0]], np.uint8)
    path = save(tmp_path, np.stack([np.full([2, 2], ink, np.uint8), opacity], axis=-1))
    share = opacity / 255
    expected = (ink * share + background * (1 - share)) / 255
    np.testing.assert_allclose(read_picture(path, invert=False), expected, atol=0.51 / 255)
    assert capsys.readouterr().err == "Notice: 1 transparent picture was laid on white or black.\n"


def test_a_palette_with_a_transparent_colour(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode="P")
    picture.putpalette([255, 0, 0, 10, 10, 10])
    picture.save(tmp_path / "a.png", transparency=0)
    # The dark colour is laid on white.
    expected = np.array([[255, 10], [10, 255]]) / 255
    np.testing.assert_allclose(read_picture(tmp_path / "a.png", invert=False), expected, atol=1e-6)


def test_dark_writing_on_light_paper_is_inverted_and_said(tmp_path, capsys):
    path = save(tmp_path, 255 - DARK)
    np.testing.assert_allclose(read_picture(path), DARK / 255, atol=1e-6)
    assert capsys.readouterr().err == (
        "Notice: 1 picture was dark on light and inverted; invert=False keeps them as they are.\n"
    )
    np.testing.assert_allclose(read_picture(path, invert=False), 1 - DARK / 255, atol=1e-6)
    np.testing.assert_allclose(read_picture(path, invert=True), DARK / 255, atol=1e-6)
    assert capsys.readouterr().err == ""


def test_a_resized_picture_keeps_its_proportions(tmp_path, capsys):
    path = save(tmp_path, np.full([10, 4], 80, np.uint8))
    image = read_picture(path, (20, 30))
    np.testing.assert_allclose(image, 80 / 255, atol=1e-6)
    assert image.shape == (20, 30)
    assert capsys.readouterr().err == "Notice: 1 picture was resized to 30 x 20 pixels.\n"


def test_what_does_not_fit_is_filled_with_the_borders_median():
    pixels = np.zeros([4, 8], np.uint8)
    pixels[1:3, 2:6] = 255
    fitted = fit_to_size(pixels, (8, 8))
    # The width fits already: the image stands in the middle, unchanged.
    np.testing.assert_array_equal(fitted[2:6], pixels)
    assert not fitted[[0, 1, 6, 7]].any()


def test_smaller_pictures_keep_their_mean():
    pixels = RANDOM.integers(0, 65536, (64, 64)).astype(np.uint16)
    fitted = fit_to_size(pixels, (16, 16))
    assert fitted.dtype == np.uint16
    np.testing.assert_allclose(fitted.mean(), pixels.mean(), rtol=0.01)


def test_photographs_are_turned_as_the_camera_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    path = save(tmp_path, DARK, exif=exif)
    np.testing.assert_allclose(read_picture(path), np.rot90(DARK, -1) / 255, rtol=1e-6)


def test_8_and_16_bits_can_be_mixed(tmp_path):
    deep = np.full([6, 5], 257 * 7, np.uint16)
    paths = [save(tmp_path, DARK), save(tmp_path, deep, "b.png"), save(tmp_path, DARK, "c.png")]
    pixels = read_pictures(paths).pixels
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels // 257, [DARK, np.full([6, 5], 7), DARK])


def test_folders_and_files_are_read_in_order(tmp_path):
    (tmp_path / "more" / "below").mkdir(parents=True)
    for hidden in (".ipynb_checkpoints", "__MACOSX", ".cache/thumbnails"):
        (tmp_path / "more" / hidden).mkdir(parents=True)
        save(tmp_path / "more" / hidden, DARK)
    first, second = save(tmp_path, DARK, "z.png"), save(tmp_path / "more", DARK + 1)
    third = save(tmp_path / "more" / "below", DARK + 2, "b.png")
    (tmp_path / "more" / "notes.txt").write_text("no picture")
    images, shape, files = read_images([first, tmp_path / "more"])
    assert (shape, files) == ((6, 5), [first, second, third])
    np.testing.assert_allclose(images.reshape(3, 6, 5) * 255, [DARK, DARK + 1, DARK + 2], atol=1e-4)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: holds no pictures"):
        read_images(tmp_path / "empty")


# What is refused.


def refused(path, **options):
    with pytest.raises(DataError) as caught:
        read_picture(path, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_what_is_no_picture_is_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("hello")
    assert refused(path) == f"{path}: is not a picture that Pillow reads"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.tif", "a.webp"])
def test_damaged_pictures_are_named(tmp_path, name):
    path = save(tmp_path, RANDOM.integers(0, 256, (64, 64)).astype(np.uint8), name)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(path).startswith(f"{path}: is ")


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_picture_of_a_form_that_pillow_does_not_know_is_named(tmp_path, skip_bad):
    path = tmp_path / "a.png"
    # A DDS file's header; its pixel format says nothing.
    header = struct.pack("<4sIIIIIII44xII", b"DDS ", 124, 0, 4, 4, 0, 0, 0, 32, 0)
    path.write_bytes(header + bytes(200))
    assert f"{path}: is damaged (" in refused(path, skip_bad=skip_bad)


def png(width, height):
    def chunk(name, content):
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 100_000])
def test_decompression_bombs_are_refused(tmp_path, side):
    path = tmp_path / "a.png"
    path.write_bytes(png(side, side))
    assert "has too many pixels: there may be at most 89478485" in refused(path)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert refused(tmp_path / "pipe.png").endswith("is no regular file; it must be a file")
    with pytest.raises(DataError, match="is a folder; it must be a file"):
        read_pictures([tmp_path])
    assert refused("/dev/null").endswith("is no regular file; it must be a file")
    assert "No such file" in refused(tmp_path / "none.png")
    assert "is no path" in refused("a\0b.png")


def test_values_out_of_range_are_refused(tmp_path):
    path = save(tmp_path, np.array([[0, 2.5]], np.float32), "a.tif")
    assert refused(path).endswith("has values from 0.0 to 2.5: they must be in 0 to 1")


def test_pictures_of_two_sizes_need_one(tmp_path):
    paths = [save(tmp_path, DARK), save(tmp_path, DARK.T.copy(), "b.png")]
    with pytest.raises(DataError) as caught:
        read_pictures(paths)
    assert str(caught.value) == (
        f"{paths[1]}: has 6 x 5 pixels, but {paths[0]} has 5 x 6: all must have one size, or "
        "image_size must be given"
    )
    assert read_pictures(paths, (7, 7)).pixels.shape == (2, 7, 7)


def test_bad_pictures_can_be_left_out(tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    paths = [bad, save(tmp_path, DARK), save(tmp_path, DARK, "b.png")]
    with pytest.raises(DataError, match=r"bad\.png: is not a picture"):
        read_pictures(paths)
    capsys.readouterr()
    pictures = read_pictures(paths, skip_bad=True)
    np.testing.assert_array_equal(pictures.pixels, [DARK, DARK])
    np.testing.assert_array_equal(pictures.kept, [1, 2])
    assert capsys.readouterr().err == (
        f"Notice: 1 of 3 pictures was left out ({bad}: is not a picture that Pillow reads).\n"
    )
    with pytest.raises(DataError, match="no picture can be read"):
        read_pictures([bad], skip_bad=True)
