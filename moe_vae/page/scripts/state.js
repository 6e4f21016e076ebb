// What the panels share: the drawing and the chosen model; a change is told to all of them.

import { tensor } from "./tensors.js";

export const state = {
  page: null, // the page's data
  chosen: 0, // the number of the model
  picture: null, // what the models read, a Float32Array; null without a drawing
};

const listeners = [];

export const onChange = (listener) => listeners.push(listener);

export function change(news) {
  Object.assign(state, news);
  answers.clear();
  for (const listener of listeners) listener(Object.keys(news));
}

export const model = () => state.page.models[state.chosen];

// What a model says of the drawing: a function of a signature's name; see `Program.feed`. It is
// null without a drawing, and until the model's weights are unpacked.
const answers = new Map();

export function answer(of) {
  if (!state.picture || !of.program) return null;
  if (!answers.has(of)) answers.set(of, of.program.feed({ inputs: batchOf(state.picture) }));
  return answers.get(of);
}

// One example as a batch of one.
export const batchOf = (values) => tensor([1, values.length], values);

// The place of the largest value.
export const largest = (values) => values.indexOf(Math.max(...values));
