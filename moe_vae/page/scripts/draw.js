// The panel "Draw": the pad, what the model reads, its decoding, and examples.

import { toDigit } from "./digit.js";
import { Pad } from "./pad.js";
import { button, chip, element, paint, percent, picture, titleOf } from "./pictures.js";
import { answer, change, largest, model, onChange, state } from "./state.js";

const PAD_WIDTH = 280;

export function drawPanel(section) {
  const { shape, box, examples } = state.page;
  const canvas = element("canvas", {
    id: "pad",
    width: PAD_WIDTH,
    height: Math.round((PAD_WIDTH * shape[0]) / shape[1]),
    tabindex: 0,
    role: "application",
    "aria-label": "Drawing pad",
    "aria-describedby": "pad-keys",
  });
  const pad = new Pad(canvas, (event) => {
    const read = pad.example ?? toDigit(pad.read(), canvas.width, shape, box);
    change({ picture: read });
    if (event)
      performance.measure("answer", { start: event.timeStamp, detail: { type: event.type } });
  });
  const read = picture(shape, "what the model reads");
  const decoded = picture(shape, "the model's decoding of it");
  const shown = element(
    "div",
    { class: "previews" },
    element("figure", {}, read, element("figcaption", {}, "what the model reads")),
    element("figure", { class: "decoded" }, decoded, element("figcaption", {}, "its decoding")),
  );
  const verdict = element("p", { class: "verdict" });
  section.append(
    element(
      "div",
      { class: "drawing" },
      element(
        "div",
        {},
        canvas,
        element(
          "div",
          { class: "buttons" },
          button("Undo", (event) => pad.undo(event)),
          button("Clear", (event) => pad.clear(event)),
        ),
        verdict,
      ),
      shown,
    ),
    element(
      "p",
      { class: "note", id: "pad-keys" },
      "By keyboard, on the pad: arrows move, Space lowers or lifts the pen, Backspace undoes, ",
      "Delete clears.",
    ),
    element("p", { class: "note" }, `Or take an example (${examples.name}):`),
    exampleButtons(pad),
  );
  onChange(() => {
    paint(read, state.picture);
    const of = answer(model());
    shown.lastChild.hidden = !("reconstruct" in model().signatures);
    paint(decoded, of && !shown.lastChild.hidden ? of("reconstruct").values : null);
    verdict.replaceChildren(...(of && model().program.has("route") ? winner(of("route").values) : []));
  });
}

// The likeliest expert and its probability, for narrow screens, where the bars are further down.
function winner(probabilities) {
  const number = largest(probabilities);
  const text = ` ${titleOf(model().columns[number])}, ${percent(probabilities[number])}`;
  return [chip(state.page.colours, number), text];
}

// Buttons that put an example on the pad.
function exampleButtons(pad) {
  const { shape, examples } = state.page;
  const list = element("div", { class: "examples", role: "group", "aria-label": "Examples" });
  for (const number of examples.offered) {
    const canvas = element("canvas", { width: shape[1], height: shape[0], class: "picture" });
    const values = exampleAt(number);
    paint(canvas, values);
    const label = `Take ${examples.labels?.[number] ?? `example ${number + 1}`}`;
    const taken = element("button", { type: "button", "aria-label": label }, canvas);
    taken.addEventListener("click", (event) => pad.place(canvas, values, event));
    list.append(taken);
  }
  return list;
}

// The pixels of one of the page's examples, from 0 to 1.
export function exampleAt(number) {
  const { shape, examples } = state.page;
  const size = shape[0] * shape[1];
  return Float32Array.from(examples.bytes.subarray(number * size, (number + 1) * size), (p) => p / 255);
}
