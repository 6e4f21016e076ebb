"""The Python examples of the pages, run as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moe_vae.data.checks import DataError
from moe_vae.estimators import ConditionalVAEClassifier, load

pytestmark = pytest.mark.estimators

ROOT = Path(__file__).parents[2]


def examples(page, heading):
    """Returns the Python of a page below a heading, up to the next heading of its level."""
    section = (ROOT / page).read_text().partition(f"\n{heading}\n")[2]
    level = heading.partition(" ")[0]
    section = re.split(rf"\n{level} ", section)[0]
    found = re.findall(r"```python\n(.*?)```", section, re.S)
    assert found
    return "".join(found)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_pictures(folder, classes):
    random = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 200, [12, 9]).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_the_readmes_lines_run_on_a_folder_of_pictures(folder):
    make_pictures(folder / "pictures", [""])
    code = examples("README.md", "## Your own pictures")
    assert len([line for line in code.splitlines() if line.strip()]) <= 5
    namespace = {}
    exec(code, namespace)
    images = namespace["pictures"].test.images
    assert namespace["pictures"].train.shape == (12, 9)
    again = load(folder / "mixture.npz")
    np.testing.assert_array_equal(again.predict(images), namespace["mixture"].predict(images))


def test_the_readmes_lines_say_what_is_wrong_with_the_pictures(folder):
    make_pictures(folder / "pictures", [""])
    (folder / "pictures/0.png").write_text("no picture")
    with pytest.raises(DataError, match=r"0\.png"):
        exec(examples("README.md", "## Your own pictures"), {})


def test_the_examples_of_the_estimators_run(folder):
    namespace = {}
    code = "".join(
        examples("docs/estimators.md", heading)
        for heading in ("## Examples", "## Training", "## Files")
    )
    exec(code, namespace)
    assert namespace["accuracy"] > 0.85
    assert namespace["threes"].shape == (8, 64)
    assert namespace["codes"].shape == (300, 2)
    assert namespace["decoded"].shape == (300, 5)
    assert namespace["search"].best_score_ > 0.3
    images = namespace["X_test"]
    np.testing.assert_array_equal(
        namespace["same"].predict(images), namespace["mixture"].predict(images)
    )


def test_the_example_of_your_own_data_runs(folder):
    make_pictures(folder / "photos", ["cats", "dogs"])
    make_pictures(folder, ["more"])
    Image.new("RGB", (40, 30), (9, 99, 0)).save(folder / "new.jpg")
    random = np.random.default_rng(0)
    classifier = ConditionalVAEClassifier(image_shape=(28, 28), epochs=1, random_state=0)
    classifier.fit(random.random([200, 784], np.float32), ["a", "b"] * 100)
    classifier.save(folder / "classifier.npz")
    namespace = {}
    exec(examples("docs/your-own-data.md", "## In Python"), namespace)
    data = namespace["data"]
    assert data.train.images.shape[1] == 784
    assert data.class_names == ("cats", "dogs")
    pictures, answers = namespace["pictures"], namespace["answers"]
    assert [str(path) for path in pictures.files][:2] == ["new.jpg", "more/0.png"]
    assert len(answers) == len(pictures.files) == 21
    np.testing.assert_array_equal(answers, classifier.predict(pictures.images))
