"""The page in Chromium: its numbers, its answers to a drawing, and what a reader needs."""

import base64
import dataclasses
import itertools
import json
import re
import statistics
from pathlib import Path

import chromium
import numpy as np
import pytest
from page.strokes import THREE
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from signature_cases import CASES, CONV_SHAPE, build_and_params, shape_of, some_variables

from moe_vae.cli.main import main
from moe_vae.compat import tf
from moe_vae.data.checks import IMAGE_SHAPE
from moe_vae.data.dataset import DataSet
from moe_vae.experiments.exports import restore_model
from moe_vae.experiments.pages import N_EXAMPLES, PageModel, export_page
from moe_vae.experiments.pretrained import read_pretrained, read_sample
from moe_vae.export.frozen import compute, freeze
from moe_vae.export.model_file import ModelFile
from moe_vae.page import assemble
from moe_vae.page.weights import pack_arrays
from moe_vae.plots.common import some_examples

pytestmark = pytest.mark.browser

NAMES = ("mixture-of-vaes", "specialists", "conditional-vae")
BOUND = 1e-3
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"  # `npm ci` in this folder
N_IMAGES = 100
# The result of a signature, as base64 of single precision.
COMPUTE = """
const [number, signature, inputs] = arguments;
const read = ([shape, text]) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return { shape, values: new Float32Array(bytes.buffer) };
};
const feeds = Object.fromEntries(Object.entries(inputs).map(([name, each]) => [name, read(each)]));
const { shape, values } = page.page.models[number].program.feed(feeds)(signature);
const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
let text = "";
for (const byte of bytes) text += String.fromCharCode(byte);
return [shape, btoa(text)];
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of the pretrained models, as `make page` writes it."""
    path = tmp_path_factory.mktemp("page") / "page.html"
    main(["export", "--pretrained", *NAMES, "--to", "html", "--out", str(path)])
    assert path.stat().st_size < 6e6
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    # No host has an address: a request to any would fail.
    offline = "--host-resolver-rules=MAP * ~NOTFOUND"
    with chromium.started(tmp_path_factory.mktemp("profile"), offline) as driver:
        yield driver


@pytest.fixture
def opened(browser, page):
    """The browser on the page, in a large window, all models unpacked."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.get_log("browser")  # of what was shown before
    show(browser, page, 1200)
    return browser


def show(browser, page, width, height=900):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())
    wait_until_ready(browser)


def wait_until_ready(browser):
    WebDriverWait(browser, 60).until(
        lambda driver: driver.execute_script("return document.documentElement.dataset.ready")
    )


def data_of(page):
    """What the page holds for its scripts."""
    text = page.read_text(encoding="utf-8")
    start = text.index('id="data">') + len('id="data">')
    return json.loads(text[start : text.index("</script>", start)])


def computed(browser, number, signature, inputs):
    packed = {
        name: [values.shape, base64.b64encode(values.astype("<f4").tobytes()).decode()]
        for name, values in inputs.items()
    }
    shape, text = browser.execute_script(COMPUTE, number, signature, packed)
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape)


def in_tensorflow(name, steps):
    """A pretrained model with the weights that the page has."""
    content = read_pretrained(name)
    packed = pack_arrays(content.variables, {}, steps)
    return restore_model(dataclasses.replace(content, variables=packed.rounded))


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_the_scripts_compute_what_tensorflow_does(number, page, opened):
    about = data_of(page)["models"][number]
    model, session, _ = in_tensorflow(NAMES[number], about["rounding"]["steps"])
    images = np.asarray(some_examples(read_sample(), N_EXAMPLES).images)[:: N_EXAMPLES // N_IMAGES]
    random = np.random.default_rng(0)
    z = random.standard_normal([N_IMAGES, 10]).astype(np.float32)
    expected = {
        "route": model.predict_proba(session, images),
        "encode": model.mean_codes(session, images),
        "reconstruct": model.reconstruct(session, images),
    }
    if NAMES[number] != "conditional-vae":
        no_noise = dict.fromkeys(model._noises, np.zeros_like(z))
        feed = {model.images: images, **no_noise}
        decodings = [expert.decoded_images for expert in model.experts]
        expected["compare"] = np.stack(session.run(decodings, feed), axis=1)
        expected["measure"] = session.run(model.expert_losses, feed)
    for signature, values in expected.items():
        found = computed(opened, number, signature, {"inputs": images})
        assert found.shape == values.shape
        print(f"{NAMES[number]}, {signature}: {np.abs(found - values).max():.2g}")
        np.testing.assert_allclose(found, values, rtol=0, atol=BOUND, err_msg=signature)
    for column in (0, 7):
        inputs = {"z": z, "column": np.eye(10)[np.full(N_IMAGES, column)]}
        found = computed(opened, number, "generate", inputs)
        drawn = model.generate(session, z, column)
        np.testing.assert_allclose(found, drawn, rtol=0, atol=BOUND)


# What a reader does and sees.


def choose_model(browser, name):
    browser.find_element(By.CSS_SELECTOR, f"#models input[value='{NAMES.index(name)}']").click()


def draw(browser, stroke, kind="mouse"):
    """Draws a stroke on the pad by events of a pointer, one a point."""
    pad = browser.find_element(By.ID, "pad")
    side = pad.size["width"]
    places = [((x - 0.5) * side, (y - 0.5) * side) for x, y in stroke]
    actions = ActionChains(browser, duration=20, devices=[PointerInput(kind, kind)])
    (x, y), *rest = places
    actions.move_to_element_with_offset(pad, x, y).click_and_hold()
    for x, y in rest:
        actions.move_to_element_with_offset(pad, x, y)
    actions.release().perform()


def button(browser, text):
    return browser.find_element(By.XPATH, f"//button[text()={text!r}]")


def pixels(browser, selector):
    """The grey values of a canvas."""
    read = """
    const canvas = document.querySelector(arguments[0]);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [...data].filter((_, i) => i % 4 === 0);
    """
    return np.array(browser.execute_script(read, selector))


def winner(browser):
    text = browser.find_element(By.CSS_SELECTOR, ".row.winner .name").text
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("kind", ["mouse", "touch", "pen"])
def test_a_drawn_3_goes_to_the_expert_of_the_3s(kind, page, opened):
    choose_model(opened, "specialists")
    assert opened.find_elements(By.CSS_SELECTOR, ".row.winner") == []
    draw(opened, THREE, kind)
    assert "(digit 3)" in winner(opened)
    read = pixels(opened, ".previews canvas").reshape(28, 28)
    rows, columns = np.nonzero(read)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    weights = read / read.sum()
    assert (weights.sum(axis=1) @ np.arange(28)) == pytest.approx(14, abs=0.5)
    assert (weights.sum(axis=0) @ np.arange(28)) == pytest.approx(14, abs=0.5)

    button(opened, "Clear").click()
    assert opened.find_elements(By.CSS_SELECTOR, ".row.winner") == []
    button(opened, "Undo").click()
    assert "(digit 3)" in winner(opened)
    button(opened, "Undo").click()
    assert not pixels(opened, "#pad").any()


def test_a_stroke_is_answered_within_30_milliseconds(opened):
    for name in NAMES:
        choose_model(opened, name)
        opened.execute_script("performance.clearMeasures()")
        draw(opened, THREE)
        found = opened.execute_script(
            "return performance.getEntriesByName('answer').map(each => each.duration)"
        )
        print(f"{name}: {len(found)} answers, median {statistics.median(found):.1f} ms")
        assert len(found) >= len(THREE)
        assert statistics.median(found) < 30
        button(opened, "Clear").click()


def test_the_keyboard_draws(opened):
    pad = opened.find_element(By.ID, "pad")
    pad.send_keys(Keys.SPACE, *[Keys.ARROW_DOWN] * 9, Keys.SPACE, *[Keys.ARROW_LEFT] * 5)
    ink = pixels(opened, ".previews canvas").reshape(28, 28)
    rows, columns = np.nonzero(ink)
    assert np.ptp(rows) + 1 == 20
    assert np.ptp(columns) < 8
    pad.send_keys(Keys.BACKSPACE)
    assert not pixels(opened, ".previews canvas").any()


def test_examples_are_read_as_they_are(page, opened):
    examples = data_of(page)["examples"]
    shown = np.rint(255 * np.asarray(some_examples(read_sample(), N_EXAMPLES).images))
    buttons = opened.find_elements(By.CSS_SELECTOR, ".examples button")
    assert len(buttons) == len(examples["offered"]) == 10
    for taken, number in zip(buttons, examples["offered"], strict=True):
        taken.click()
        np.testing.assert_array_equal(pixels(opened, ".previews canvas"), shown[number])


def test_a_slider_and_the_dice_change_the_picture(opened):
    for name in NAMES:
        choose_model(opened, name)
        seen = [pixels(opened, ".large canvas")]
        slider = opened.find_element(By.CSS_SELECTOR, ".sliders input")
        slider.send_keys(*[Keys.ARROW_RIGHT] * 100)
        assert slider.get_attribute("value") == "1"
        seen.append(pixels(opened, ".large canvas"))
        opened.find_element(By.ID, "dice").click()
        seen.append(pixels(opened, ".large canvas"))
        for first, second in itertools.pairwise(seen):
            assert np.abs(first - second).max() > 20


def test_a_walk_begins_and_ends_where_it_is_told(opened):
    opened.find_element(By.ID, "dice").click()
    button(opened, "Begin here").click()
    begin = pixels(opened, ".large canvas")
    opened.find_element(By.ID, "dice").click()
    button(opened, "End here").click()
    end = pixels(opened, ".large canvas")
    strip = ".results figure:nth-of-type(3) canvas"
    assert opened.find_elements(By.CSS_SELECTOR, strip)[8]
    np.testing.assert_array_equal(pixels(opened, f"{strip}:first-child"), begin)
    np.testing.assert_array_equal(pixels(opened, f"{strip}:last-child"), end)
    button(opened, "Walk").click()
    WebDriverWait(opened, 20).until(lambda _: (pixels(opened, ".large canvas") != end).any())
    WebDriverWait(opened, 20).until(lambda _: (pixels(opened, ".large canvas") == end).all())


def test_the_hand_draws_every_digit(opened):
    draw(opened, THREE)
    drawn = [pixels(opened, f".hand figure:nth-child({place}) canvas") for place in range(1, 12)]
    np.testing.assert_array_equal(drawn[0], pixels(opened, ".previews canvas"))
    assert len({each.tobytes() for each in drawn}) == 11
    # The decoding with the digit 3 is the one nearest to the drawing.
    distances = [np.square(each - drawn[0]).sum() for each in drawn[1:]]
    assert int(np.argmin(distances)) == 3


def test_pointing_at_the_map_decodes_an_example(page, opened):
    figure = opened.find_element(By.CSS_SELECTOR, ".map")
    ActionChains(opened).move_to_element_with_offset(figure, 20, 10).perform()
    text = opened.find_element(By.CSS_SELECTOR, ".which").text
    assert re.fullmatch(r"Label: digit \d\. Likeliest: expert\s\d \(digit\s\d\)\.", text)
    first = pixels(opened, ".chosen canvas")
    assert first.any()
    figure.send_keys(*[Keys.ARROW_RIGHT] * 3)
    assert (pixels(opened, ".chosen canvas") != first).any()


def test_nothing_is_requested_from_anywhere(opened):
    draw(opened, THREE)
    requests = opened.execute_script(
        "return performance.getEntriesByType('resource').map(each => each.name)"
    )
    assert requests == []
    assert opened.get_log("browser") == []


WIDTHS = (360, 768, 1200)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_is_accessible_and_does_not_shift(width, scheme, browser, page):
    preference = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preference})
    show(browser, page, width)
    choose_model(browser, "specialists")
    draw(browser, THREE)
    widest = browser.execute_script("return document.documentElement.scrollWidth")
    assert widest <= width
    shifts = browser.execute_async_script(
        """
        const done = arguments[0];
        new PerformanceObserver((list) => done(
          list.getEntries().filter(each => !each.hadRecentInput).map(
            each => [each.value, each.startTime, each.sources.map(source => source.node?.outerHTML)]
          )
        )).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done([]), 500);
        """
    )
    assert shifts == []
    browser.execute_script(AXE.read_text())
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    assert [each["id"] for each in found["passes"]]
    assert [
        (each["id"], each["impact"], [node["html"] for node in each["nodes"]])
        for each in found["violations"]
    ] == []
    height = browser.execute_script("return document.documentElement.scrollHeight")
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_script("scrollTo(0, 0)")
    chromium.SCREENSHOTS.mkdir(exist_ok=True)
    assert browser.save_screenshot(str(chromium.SCREENSHOTS / f"page-{width}-{scheme}.png"))


# Any model, and every operation.

SCRIPTS = """<!doctype html><script type="module">
{scripts}
globalThis.ours = {{ Program, OPERATIONS, tensor, toDigit, unpackArrays, unpackBytes }};
</script>"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A page with all scripts but the one that builds the panels, which the tests can call."""
    texts = [assemble._script(name) for name in assemble._SCRIPTS if name != "main"]
    path = tmp_path_factory.mktemp("scripts") / "scripts.html"
    path.write_text(SCRIPTS.format(scripts="\n".join(texts)))
    return path


@pytest.fixture(scope="module", params=[IMAGE_SHAPE, CONV_SHAPE], ids=["dense", "conv"])
def any_page(request, tmp_path_factory):
    """A page of a small model of every kind; the models' frozen graphs, by case."""
    shape = request.param
    random = np.random.default_rng(0)
    images = (random.integers(0, 256, [40, np.prod(shape)]) / 255).astype(np.float32)
    models, graphs = [], {}
    for case in (case for case in CASES if shape_of(case) == shape):
        build, params = build_and_params(case)
        variables = some_variables(build, params)
        metadata = {"data": "noise", "test": {"losses": {"loss": 1.0}}}
        content = ModelFile(CASES[case][0], params, shape, 0, variables, metadata=metadata)
        models.append(PageModel(case, f"The case {case}.", content))
        kept = pack_arrays(variables, {}, None).rounded
        graphs[case] = freeze(
            build, params, kept, lambda model: model.signatures() | model.comparisons()
        )
    path = tmp_path_factory.mktemp("any") / "page.html"
    export_page(path, models, DataSet(images, np.arange(40) % 10, shape=shape), "noise")
    return path, graphs


@pytest.fixture
def any_opened(browser, any_page):
    browser.get_log("browser")
    show(browser, any_page[0], 1200)
    return browser


def test_the_scripts_compute_every_signature_of_every_model(any_opened, any_page):
    random = np.random.default_rng(0)
    for number, (case, graphs) in enumerate(any_page[1].items()):
        for name, graph in graphs.items():
            inputs = {}
            for each in graph.inputs:
                width = graph.shapes[each][1]
                inputs[each] = {
                    "inputs": random.random([5, width]),
                    "z": random.standard_normal([5, width]),
                }.get(each, np.eye(width)[np.arange(5) % width]).astype(np.float32)
            expected = compute(graph, inputs)
            found = computed(any_opened, number, name, inputs)
            assert found.shape == expected.shape, (case, name)
            # Losses are hundreds of nats, in single precision.
            bound = 1e-5 * max(1, np.abs(expected).max())
            np.testing.assert_allclose(found, expected, rtol=0, atol=bound, err_msg=(case, name))


def test_a_page_shows_the_panels_that_its_model_has(any_opened, any_page):
    draw(any_opened, THREE)
    for number, graphs in enumerate(any_page[1].values()):
        any_opened.find_element(By.CSS_SELECTOR, f"#models input[value='{number}']").click()
        for panel in ("route", "generate"):
            shown = any_opened.find_element(By.ID, panel).is_displayed()
            assert shown == (panel in graphs)
        shows_map = bool(any_opened.find_elements(By.CSS_SELECTOR, ".map"))
        assert shows_map == (graphs.keys() >= {"encode", "reconstruct"})
        n_decodings = len(any_opened.find_elements(By.CSS_SELECTOR, ".row canvas"))
        compared = graphs.get("compare")
        assert n_decodings == (compared.shapes["decodings"][1] if compared else 0)
        if "generate" in graphs:
            any_opened.find_element(By.ID, "dice").click()
    assert any_opened.get_log("browser") == []


def called(browser, scripts, body, *arguments):
    browser.get(scripts.as_uri())
    return browser.execute_script(body, *arguments)


CONVOLVE = """
const [name, x, kernel, attributes] = arguments;
const tensorOf = ({ shape, values }) => ours.tensor(shape, Float32Array.from(values));
const { shape, values } = ours.OPERATIONS[name](tensorOf(x), tensorOf(kernel), attributes);
return { shape, values: [...values] };
"""


def as_json(array):
    return {"shape": list(array.shape), "values": array.ravel().tolist()}


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 3), (4, 5)])
@pytest.mark.parametrize("side", [7, 12])
def test_convolutions_are_tensorflows(side, strides, browser, scripts):
    random = np.random.default_rng(side)
    x = random.normal(size=[2, side, side + 1, 3]).astype(np.float32)
    kernel = random.normal(size=[3, 4, 3, 5]).astype(np.float32)
    back_shape = [2, side * strides[0], (side + 1) * strides[1], 4]
    back_kernel = random.normal(size=[3, 4, 4, 3]).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        forward = tf.nn.conv2d(x, kernel, strides, "SAME")
        back = tf.nn.conv2d_transpose(x, back_kernel, back_shape, [1, *strides, 1], "SAME")
        expected = session.run({"Conv2D": forward, "Conv2DTranspose": back})
    attributes = {"strides": list(strides), "padding": "same"}
    for name, own in {"Conv2D": kernel, "Conv2DTranspose": back_kernel}.items():
        arrays = (as_json(x), as_json(own))
        found = called(browser, scripts, CONVOLVE, name, *arrays, attributes)
        assert found["shape"] == list(expected[name].shape)
        np.testing.assert_allclose(found["values"], expected[name].ravel(), atol=1e-4)


TO_DIGIT = """
const [ink, width, shape, box] = arguments;
const digit = ours.toDigit(Float32Array.from(ink), width, shape, box);
return digit && [...digit];
"""


def test_a_drawing_becomes_a_digit_as_mnist_made_them(browser, scripts):
    """Means over areas, moved by whole pixels."""
    random = np.random.default_rng(0)
    for height, width in ((200, 120), (90, 160), (33, 33), (3, 2)):
        ink = np.zeros([280, 280], np.float32)
        block = (random.random([height, width]) > 0.4).astype(np.float32)
        block[0], block[-1], block[:, 0], block[:, -1] = 1, 1, 1, 1
        ink[40 : 40 + height, 70 : 70 + width] = block
        found = called(browser, scripts, TO_DIGIT, ink.ravel().tolist(), 280, [28, 28], 20)
        found = np.array(found).reshape(28, 28)
        scale = 20 / max(height, width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        fine = np.repeat(np.repeat(block, size[1], axis=0), size[0], axis=1)
        small = fine.reshape(size[1], height, size[0], width).mean(axis=(1, 3))
        rows, columns = np.indices(small.shape)
        top, left = (
            int(np.floor(14 - (small * place).sum() / small.sum() + 0.5))
            for place in (rows, columns)
        )
        expected = np.zeros([28, 28])
        expected[top : top + size[1], left : left + size[0]] = small
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert called(browser, scripts, TO_DIGIT, [0] * 280 * 280, 280, [28, 28], 20) is None
