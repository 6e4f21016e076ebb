// The panel "Look": the map of the codes, the confusion table and the scores.

import { exampleAt } from "./draw.js";
import { chip, element, paint, picture, titleOf } from "./pictures.js";
import { answer, batchOf, largest, model, onChange, state } from "./state.js";

const SIDE = 400; // of the map, in its own units
const MARGIN = 14;
const SVG = "http://www.w3.org/2000/svg";
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function lookPanel(section) {
  const body = element("div", { class: "looking" });
  section.append(body);
  let showDrawing = () => {};
  onChange((news) => {
    if (news.includes("chosen") || news.includes("ready")) {
      section.querySelector(".sentence").textContent = model().map ? model().sentences.look : "";
      const map = model().map ? codeMap(model()) : null;
      showDrawing = map?.showDrawing ?? (() => {});
      body.replaceChildren(...[map?.element, tables(model())].filter(Boolean));
    }
    showDrawing();
  });
}

function svg(name, attributes, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// The map of a model's codes: its element, and a function that marks the drawing's place.
function codeMap(of) {
  const { shape, colours, examples } = state.page;
  const { points, columns, share, mean, axes } = of.map;
  const place = placer(points);
  const map = svg("svg", {
    viewBox: `0 0 ${SIDE} ${SIDE}`,
    class: "map",
    tabindex: 0,
    role: "application",
    "aria-label": `Map of the codes of ${points.length} examples. Arrow keys go to the next example.`,
  });
  const places = points.map(place);
  places.forEach(([x, y], i) => {
    const number = columns?.[i];
    map.append(
      svg("text", { x, y, fill: number === undefined ? "currentColor" : colours[number % colours.length] },
        number ?? "•"),
    );
  });
  const mark = svg("circle", { r: 9, class: "mark" });
  const own = svg("path", { d: "M-9,0H9M0,-9V9M-6,-6L6,6M6,-6L-6,6", class: "own" });
  own.append(svg("title", {}, "your drawing"));
  map.append(mark, own);

  const example = picture(shape, "the example");
  const decoded = picture(shape, "its decoding");
  const text = element("p", { class: "which", "aria-live": "polite" });
  let chosen = -1;
  const choose = (number) => {
    if (number === chosen || !of.program) return;
    chosen = number;
    const [x, y] = places[number];
    mark.setAttribute("transform", `translate(${x} ${y})`);
    mark.classList.add("shown");
    const values = exampleAt(number);
    const said = of.program.feed({ inputs: batchOf(values) });
    paint(example, values);
    paint(decoded, said("reconstruct").values);
    const label = examples.labels?.[number];
    const column = of.signatures.route && of.columns[largest(said("route").values)];
    text.textContent = [label && `Label: ${label}.`, column && `Likeliest: ${titleOf(column)}.`]
      .filter(Boolean)
      .join(" ");
  };
  const nearest = (x, y, isAllowed = () => true) => {
    const distance = (i) => (isAllowed(i) ? Math.hypot(places[i][0] - x, places[i][1] - y) : Infinity);
    return places.reduce((best, _, i) => (distance(i) < distance(best) ? i : best), 0);
  };
  for (const name of ["pointermove", "pointerdown"])
    map.addEventListener(name, (event) => {
      const { left, top, width, height } = map.getBoundingClientRect();
      choose(nearest(((event.clientX - left) * SIDE) / width, ((event.clientY - top) * SIDE) / height));
    });
  map.addEventListener("focus", () => choose(Math.max(chosen, 0)));
  map.addEventListener("keydown", (event) => {
    if (!(event.key in DIRECTIONS)) return;
    event.preventDefault();
    const [right, down] = DIRECTIONS[event.key];
    const [x, y] = places[Math.max(chosen, 0)];
    const isAhead = (i) => {
      const [dx, dy] = [places[i][0] - x, places[i][1] - y];
      const ahead = dx * right + dy * down;
      return ahead > 0 && ahead >= Math.abs(dx * down + dy * right);
    };
    const next = nearest(x, y, isAhead);
    if (isAhead(next)) choose(next);
  });

  choose(0);

  const showDrawing = () => {
    const code = answer(of)?.("encode").values;
    own.classList.toggle("shown", Boolean(code));
    if (!code) return;
    const along = (axis) => code.reduce((sum, value, i) => sum + (value - mean[i]) * axis[i], 0);
    const [x, y] = place(axes.map(along));
    const within = (value) => Math.min(Math.max(value, MARGIN), SIDE - MARGIN);
    own.setAttribute("transform", `translate(${within(x)} ${within(y)})`);
  };
  const legend = element("ul", { class: "legend" }, ...(columns ? of.columns : []).map((column, i) =>
    element("li", {}, chip(colours, i), ` ${titleOf(column)}`)));
  return {
    showDrawing,
    element: element(
      "div",
      { class: "mapping" },
      element(
        "figure",
        { class: "map-figure" },
        map,
        element(
          "figcaption",
          {},
          `Codes of ${points.length} examples (${examples.name}); the two directions hold ` +
            `${Math.round(100 * share)} % of their variance. The star is your drawing.`,
        ),
      ),
      element(
        "div",
        { class: "chosen" },
        element(
          "div",
          { class: "previews" },
          element("figure", {}, example, element("figcaption", {}, "the example")),
          element("figure", {}, decoded, element("figcaption", {}, "its decoding")),
        ),
        text,
        legend,
      ),
    ),
  };
}

// A function from a place in the plane of the codes to one on the map; both axes have one scale.
function placer(points) {
  const ends = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const scale = (SIDE - 2 * MARGIN) / Math.max(...ends.map(([low, high]) => high - low), 1e-9);
  return (point) =>
    point.map((value, axis) => {
      const [low, high] = ends[axis];
      return Math.round(10 * (SIDE / 2 + scale * (value - (low + high) / 2))) / 10;
    });
}

function tables(of) {
  return element("div", { class: "tables" }, of.confusion ? confusionTable(of) : "", scoreTable(of));
}

function confusionTable({ confusion, classes, columns, column }) {
  const heads = columns.map((_, i) => element("th", { scope: "col" }, chip(state.page.colours, i)));
  heads.forEach((head, i) => head.append(element("span", { class: "spoken" }, columns[i].name)));
  const rows = confusion.map((counts, label) => {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const cells = counts.map((count) => {
      const cell = element("td", {}, String(count));
      cell.style.setProperty("--share", `${Math.round((100 * count) / Math.max(total, 1))}%`);
      return cell;
    });
    return element("tr", {}, element("th", { scope: "row" }, classes[label]), ...cells);
  });
  return element(
    "div",
    { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Confusion table" },
    element(
      "table",
      { class: "confusion" },
      element("caption", {}, `Test examples of each class (rows) by likeliest ${column} (columns)`),
      element("thead", {}, element("tr", {}, element("td"), ...heads)),
      element("tbody", {}, ...rows),
    ),
  );
}

function scoreTable({ scores, facts, rounding }) {
  const rows = Object.entries(scores).map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value.toFixed(4))),
  );
  return element(
    "div",
    {},
    element(
      "table",
      { class: "scores" },
      element("caption", {}, `Scores on the test images (trained on ${facts.data}, seed ${facts.seed})`),
      element("tbody", {}, ...rows),
    ),
    element("p", { class: "note" }, roundingText(rounding)),
  );
}

function roundingText({ steps, n_changed: changed, most }) {
  const how = steps
    ? `rounded to ${steps} steps for the root mean square of a column`
    : "in half precision";
  const effect =
    changed === null
      ? `moves no pixel of a decoding by more than ${most.toFixed(4)}`
      : `changes the likeliest answer for ${changed} of the map's examples, and no probability by ` +
        `more than ${most.toFixed(4)}`;
  return `The weights in this page are ${how}. On the map's examples this ${effect}.`;
}
