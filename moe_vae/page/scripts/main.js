// Builds the panels, unpacks the weights, and lets a model be chosen.

import { drawPanel } from "./draw.js";
import { generatePanel, handPanel } from "./generate.js";
import { lookPanel } from "./look.js";
import { element, stackTexts } from "./pictures.js";
import { Program } from "./program.js";
import { routePanel } from "./route.js";
import { change, onChange, state } from "./state.js";
import { unpackArrays, unpackBytes } from "./weights.js";

const find = (id) => document.getElementById(id);

function modelChoice() {
  const { models } = state.page;
  const group = find("models");
  group.hidden = models.length < 2;
  models.forEach(({ name }, number) => {
    const input = element("input", { type: "radio", name: "model", value: number });
    input.checked = number === state.chosen;
    input.addEventListener("change", () => change({ chosen: number }));
    group.append(element("label", {}, input, ` ${name}`));
  });
}

// The sentences of the panels that every model has at the same place.
function showTexts() {
  const { models } = state.page;
  const sentence = (panel) => find(panel).querySelector(".sentence");
  const shows = [
    stackTexts(find("about"), models.map(({ summary }) => summary)),
    stackTexts(sentence("draw"), models.map(({ sentences }) => sentences.draw)),
    stackTexts(sentence("route"), models.map(({ sentences }) => sentences.route)),
  ];
  onChange(() => shows.forEach((show) => show(state.chosen)));
}

async function start() {
  state.page = JSON.parse(find("data").textContent);
  globalThis.page = state; // for the browser's console
  find("data").remove();
  state.page.examples.bytes = new Uint8Array(await unpackBytes(state.page.examples.pixels));
  for (const each of state.page.models)
    each.signatures = JSON.parse(new TextDecoder().decode(await unpackBytes(each.signatures)));
  modelChoice();
  showTexts();
  drawPanel(find("draw"));
  routePanel(find("route"));
  handPanel(find("hand"));
  generatePanel(find("generate"));
  lookPanel(find("look"));
  change({ chosen: 0 });
  find("panels").hidden = false;
  for (const each of state.page.models) {
    each.program = new Program(each.signatures, await unpackArrays(each));
    each.weights = null; // the text is no longer needed
    change({ ready: each });
  }
  find("status").textContent = "Ready: the models run in this page alone.";
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  find("status").textContent = `This browser cannot show the page: ${error.message}`;
  throw error;
});
