// The panel "Generate": a code by sliders and dice, a walk between two codes; and the panel "My
// hand", the code of the drawing with every digit.

import { button, chip, element, paint, picture, titleOf } from "./pictures.js";
import { answer, model, onChange, state } from "./state.js";
import { tensor } from "./tensors.js";

const MOST = 3; // of a slider, in standard deviations
const N_BETWEEN = 9; // pictures of a walk
const WALK_SECONDS = 4;

// n independent standard-normal numbers, by the method of Box and Muller.
const dice = (n) =>
  Float32Array.from({ length: n }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    return radius * Math.cos(2 * Math.PI * Math.random());
  });

const indicator = (length, place) => Float32Array.from({ length }, (_, i) => Number(i === place));

const between = (a, b, share) => a.map((value, i) => (1 - share) * value + share * b[i]);

// The pictures that a model draws from codes, each with its column: values one after another.
function draw(of, codes, columns, style = 0) {
  const n = codes.length;
  const rows = (parts) => tensor([n, parts[0].length], Float32Array.from(parts.flatMap((x) => [...x])));
  const inputs = { z: rows(codes) };
  const widths = of.signatures.generate.inputs;
  if (widths.column) inputs.column = rows(columns.map((column) => indicator(widths.column[1], column)));
  if (widths.style) inputs.style = rows(columns.map(() => indicator(widths.style[1], style)));
  return of.program.feed(inputs)("generate").values;
}

const widthOf = (of) => of.signatures.generate.inputs.z[1];

export function generatePanel(section) {
  const body = element("div", { class: "generating" });
  section.append(body);
  let redraw = () => {};
  onChange((news) => {
    if (news.includes("chosen")) {
      section.hidden = !("generate" in model().signatures);
      section.querySelector(".sentence").textContent = model().sentences.generate;
      if (!section.hidden) redraw = rebuild(body);
    }
    if (news.includes("chosen") || news.includes("ready")) if (!section.hidden) redraw();
  });
}

// Fills the panel for the chosen model; returns a function that draws its pictures.
function rebuild(body) {
  const of = model();
  const { shape } = state.page;
  const size = shape[0] * shape[1];
  const width = widthOf(of);
  const code = { z: new Float32Array(width), column: 0, style: 0 };
  const walk = { from: new Float32Array(width), to: dice(width), share: 0 };
  const many = "column" in of.signatures.generate.inputs;

  const main = picture(shape, "the picture of this code");
  const all = many ? of.columns.map((column) => picture(shape, titleOf(column))) : [];
  const strip = Array.from({ length: N_BETWEEN }, (_, i) =>
    picture(shape, `picture ${i + 1} of ${N_BETWEEN} of the walk`),
  );
  const sliders = [...code.z].map((_, i) => slider(`z ${i + 1}`, -MOST, MOST, (value) => {
    code.z[i] = value;
    redraw();
  }));
  const step = slider("place on the walk", 0, 1, (value) => {
    walk.share = value;
    set(between(walk.from, walk.to, value));
  });

  const redraw = () => {
    if (!of.program) return;
    paint(main, draw(of, [code.z], [code.column], code.style));
    if (many) {
      const drawn = draw(of, all.map(() => code.z), all.map((_, i) => i), code.style);
      all.forEach((canvas, i) => paint(canvas, drawn, i * size));
    }
    const codes = strip.map((_, i) => between(walk.from, walk.to, i / (N_BETWEEN - 1)));
    const drawn = draw(of, codes, codes.map(() => code.column), code.style);
    strip.forEach((canvas, i) => paint(canvas, drawn, i * size));
  };
  const set = (z) => {
    code.z.set(z);
    sliders.forEach(({ show }, i) => show(z[i]));
    redraw();
  };

  body.replaceChildren(
    element(
      "div",
      { class: "controls" },
      many ? choice(`Which ${of.column}`, "column", of.columns.map(titleOf), (place) => {
        code.column = place;
        redraw();
      }, true) : "",
      of.n_styles > 1 ? choice("Style", "style", oneTo(of.n_styles), (place) => {
        code.style = place;
        redraw();
      }, false) : "",
      element("div", { class: "sliders", role: "group", "aria-label": "Code" }, ...sliders.map(({ label }) => label)),
      element(
        "div",
        { class: "buttons" },
        button("Throw dice", () => set(dice(width)), { id: "dice" }),
        button("All to 0", () => set(new Float32Array(width))),
      ),
    ),
    element(
      "div",
      { class: "results" },
      element("figure", { class: "large" }, main, element("figcaption", {}, "this code")),
      many
        ? element(
            "figure",
            {},
            element("div", { class: "strip" }, ...all.map((canvas, i) =>
              element("div", {}, canvas, chip(state.page.colours, i)))),
            element("figcaption", {}, `the same code, drawn by every ${of.column}`),
          )
        : "",
      element(
        "figure",
        {},
        element("div", { class: "strip" }, ...strip),
        element("figcaption", {}, "a walk: from the first code to the second"),
      ),
      step.label,
      element(
        "div",
        { class: "buttons" },
        button("Begin here", () => {
          walk.from = code.z.slice();
          step.show((walk.share = 0));
          redraw();
        }),
        button("End here", () => {
          walk.to = code.z.slice();
          step.show((walk.share = 1));
          redraw();
        }),
        button("New end", () => {
          walk.to = dice(width);
          redraw();
        }),
        button("Walk", () => play((share) => {
          step.show(share);
          set(between(walk.from, walk.to, share));
        })),
      ),
    ),
  );
  return redraw;
}

const oneTo = (n) => Array.from({ length: n }, (_, i) => String(i + 1));

// A labelled slider: its label element, and a function that shows a value without telling it.
function slider(name, low, high, moved) {
  const input = element("input", { type: "range", min: low, max: high, step: 0.01, value: 0 });
  const output = element("output", {}, "0.00");
  input.addEventListener("input", () => {
    output.textContent = Number(input.value).toFixed(2);
    moved(Number(input.value));
  });
  const show = (value) => {
    input.value = value;
    output.textContent = value.toFixed(2);
  };
  return { label: element("label", { class: "slider" }, element("span", {}, name), input, output), show };
}

// Radio buttons in a row.
function choice(title, name, texts, chosen, coloured) {
  const group = element("fieldset", { class: "choice" }, element("legend", {}, title));
  texts.forEach((text, place) => {
    const input = element("input", { type: "radio", name, value: place });
    input.checked = place === 0;
    input.addEventListener("change", () => chosen(place));
    group.append(
      element("label", {}, input, coloured ? chip(state.page.colours, place) : "", ` ${text}`),
    );
  });
  return group;
}

// Calls `show` with shares from 0 to 1, a few seconds long.
function play(show) {
  const begin = performance.now();
  const step = () => {
    const share = Math.min((performance.now() - begin) / (1000 * WALK_SECONDS), 1);
    show(share);
    if (share < 1) requestAnimationFrame(step);
  };
  step();
}

// The panel "My hand, ten digits"; the page has it if a model of digits has codes.
export function handPanel(section) {
  const { shape, models } = state.page;
  const of = models.find(
    ({ column, signatures }) => column === "digit" && signatures.encode && signatures.generate,
  );
  section.hidden = !of;
  if (!of) return;
  section.querySelector(".sentence").textContent = of.sentences.hand;
  const own = picture(shape, "your drawing");
  const digits = of.columns.map((column) => picture(shape, `${column.name} in your hand`));
  section.append(
    element(
      "div",
      { class: "strip hand" },
      element("figure", {}, own, element("figcaption", {}, "yours")),
      ...digits.map((canvas, i) =>
        element("figure", {}, canvas, element("figcaption", {}, of.columns[i].name)),
      ),
    ),
  );
  onChange(() => {
    paint(own, state.picture);
    const code = answer(of)?.("encode").values;
    const drawn = code && draw(of, digits.map(() => code), digits.map((_, i) => i));
    digits.forEach((canvas, i) => paint(canvas, drawn, i * shape[0] * shape[1]));
  });
}
