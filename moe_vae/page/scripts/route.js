// The panel "Route": each expert's probability, decoding and loss.

import { chip, element, paint, percent, picture, titleOf } from "./pictures.js";
import { answer, largest, model, onChange, state } from "./state.js";

const PAUSE = 600; // milliseconds without a change, before the winner is read out

export function routePanel(section) {
  const rows = element("ol", { class: "rows" });
  const spoken = element("p", { class: "spoken", "aria-live": "polite" });
  section.append(rows, spoken);
  let lines = [];
  let timer = 0;
  const rebuild = () => {
    section.hidden = !("route" in model().signatures);
    lines = model().columns.map((column, number) => line(column, number));
    rows.replaceChildren(...lines.map((each) => each.row));
  };
  onChange((news) => {
    if (news.includes("chosen")) rebuild();
    if (section.hidden) return;
    const of = answer(model());
    const probabilities = of?.("route").values;
    const losses = of && model().program.has("measure") ? of("measure").values : null;
    const decodings = of && model().program.has("compare") ? of("compare") : null;
    const winner = probabilities ? largest(probabilities) : -1;
    const best = losses ? largest(losses.map((loss) => -loss)) : -1;
    lines.forEach((each, number) => {
      each.show({
        probability: probabilities?.[number],
        loss: losses?.[number],
        decoding: decodings?.values,
        wins: number === winner,
        isBest: number === best,
      });
    });
    clearTimeout(timer);
    const text = of
      ? `${titleOf(model().columns[winner])} wins with ${percent(probabilities[winner])}.` +
        (losses ? ` The lowest loss is that of ${titleOf(model().columns[best])}.` : "")
      : "";
    timer = setTimeout(() => (spoken.textContent = text), PAUSE);
  });
}

// A row for one expert, and a function that shows its numbers.
function line(column, number) {
  const canvas = picture(state.page.shape, `decoding by ${column.name}`);
  const compares = "compare" in model().signatures;
  const bar = element("div", { class: "bar", "aria-hidden": "true" }, element("div"));
  const probability = element("span", { class: "probability" });
  const loss = element("span", { class: "loss" });
  const wins = element("span", { class: "badge wins" }, "wins");
  const isBest = element("span", { class: "badge best" }, "lowest");
  bar.firstChild.style.background = state.page.colours[number % state.page.colours.length];
  const row = element(
    "li",
    { class: compares ? "row compares" : "row" },
    compares ? canvas : null,
    element(
      "div",
      { class: "middle" },
      element("div", { class: "name" }, chip(state.page.colours, number), ` ${titleOf(column)} `, wins),
      bar,
      element("div", { class: "numbers" }, probability, loss, compares ? isBest : null),
    ),
  );
  const show = (said) => {
    const known = said.probability !== undefined;
    probability.textContent = known ? percent(said.probability) : "–";
    bar.firstChild.style.transform = `scaleX(${known ? said.probability : 0})`;
    loss.textContent = said.loss === undefined ? "" : `loss ${said.loss.toFixed(1)}`;
    row.classList.toggle("winner", said.wins);
    wins.classList.toggle("shown", said.wins);
    isBest.classList.toggle("shown", said.isBest);
    if (compares) paint(canvas, said.decoding, number * canvas.width * canvas.height);
  };
  return { row, show };
}
