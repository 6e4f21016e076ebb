// What a model is made of: the operations that docs/export.md lists, on tensors.

import { addRow, commonShape, sizeOf, split, stridesIn, tensor, walk, zeros } from "./tensors.js";
import { conv2d, conv2dTranspose } from "./convolutions.js";

const each = (compute) => (x) => tensor(x.shape, x.values.map(compute));

// An operation on two tensors, place by place; they broadcast as in NumPy.
const pairwise = (compute) => (a, b) => {
  const shape = commonShape(a.shape, b.shape);
  const result = zeros(shape);
  const [first, second, values] = [a.values, b.values, result.values];
  const strides = [stridesIn(a.shape, shape), stridesIn(b.shape, shape)];
  const [alongFirst, alongSecond] = strides.map((each) => each.at(-1) ?? 0);
  const length = shape.at(-1) ?? 1;
  let at = 0;
  walk(shape.slice(0, -1), strides.map((each) => each.slice(0, -1)), (i, j) => {
    for (let k = 0; k < length; k++)
      values[at++] = compute(first[i + k * alongFirst], second[j + k * alongSecond]);
  });
  return result;
};

// The product of matrices [..., n, k] and [..., k, m].
function matmul(a, b) {
  const [n, k] = a.shape.slice(-2);
  const m = b.shape.at(-1);
  const batch = commonShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const result = zeros([...batch, n, m]);
  const strides = [a, b].map(({ shape }) => stridesIn(shape.slice(0, -2), batch));
  let target = 0;
  walk(batch, strides, (first, second) => {
    for (let row = 0; row < n; row++, target += m)
      for (let i = 0; i < k; i++) {
        const value = a.values[(first * n + row) * k + i];
        if (value === 0) continue; // most pixels of a drawing are black
        addRow(result.values, target, b.values, (second * k + i) * m, m, value);
      }
  });
  return result;
}

function einsum(a, b, { equation }) {
  const [first, second, right] = subscripts(equation, a.shape, b.shape);
  const lengths = {};
  [...first].forEach((letter, axis) => (lengths[letter] = a.shape[axis]));
  [...second].forEach((letter, axis) => (lengths[letter] = b.shape[axis]));
  const letters = [...new Set(right + first + second)];
  const shape = [...right].map((letter) => lengths[letter]);
  const result = zeros(shape);
  const strides = [
    [first, a.shape],
    [second, b.shape],
    [right, shape],
  ].map(([own, ownShape]) => {
    const steps = [...own].map((_, axis) => sizeOf(ownShape.slice(axis + 1)));
    return letters.map((letter) =>
      [...own].reduce((sum, other, axis) => sum + (other === letter ? steps[axis] : 0), 0),
    );
  });
  const all = letters.map((letter) => lengths[letter]);
  walk(all, strides, (i, j, to) => (result.values[to] += a.values[i] * b.values[j]));
  return result;
}

// The letters of the axes of both tensors and of the result. The axes of an ellipsis, counted from
// the right, are capitals; an ellipsis that both tensors have stands for equal axes.
function subscripts(equation, first, second) {
  const [left, right] = equation.replaceAll(" ", "").split("->");
  const own = left.split(",").map((text, i) => {
    const rank = [first, second][i].length - text.replace("...", "").length;
    return [text, "ZYXWVU".slice(6 - rank)];
  });
  const longest = own[0][1].length > own[1][1].length ? own[0][1] : own[1][1];
  return [...own, [right, longest]].map(([text, capitals]) => text.replace("...", capitals));
}

function sum(x, { axis, keepdims }) {
  const rank = x.shape.length;
  const axes = axis.map((each) => (each < 0 ? each + rank : each)).sort((a, b) => b - a);
  const summed = axes.reduce((values, each) => sumAlong(values, each), x);
  if (!keepdims) return summed;
  return tensor(x.shape.map((length, each) => (axes.includes(each) ? 1 : length)), summed.values);
}

function sumAlong(x, axis) {
  const [before, length, after] = split(x.shape, axis);
  const result = zeros(x.shape.filter((_, each) => each !== axis));
  for (let i = 0; i < before; i++)
    for (let k = 0; k < after; k++) {
      let total = 0;
      for (let j = 0; j < length; j++) total += x.values[(i * length + j) * after + k];
      result.values[i * after + k] = total;
    }
  return result;
}

// Rows x of the last axis, less the logarithm of the sum of their exponentials.
function logSoftmax(x) {
  const length = x.shape.at(-1);
  const result = zeros(x.shape);
  for (let start = 0; start < x.values.length; start += length) {
    const row = x.values.subarray(start, start + length);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    let total = 0;
    for (const value of row) total += Math.exp(value - most);
    const less = most + Math.log(total);
    for (let i = 0; i < length; i++) result.values[start + i] = row[i] - less;
  }
  return result;
}

function argMax(x, { axis }) {
  const [before, length, after, at] = split(x.shape, axis);
  const result = zeros(x.shape.filter((_, each) => each !== at));
  for (let i = 0; i < before; i++)
    for (let k = 0; k < after; k++) {
      const value = (j) => x.values[(i * length + j) * after + k];
      let best = 0;
      for (let j = 1; j < length; j++) if (value(j) > value(best)) best = j;
      result.values[i * after + k] = best;
    }
  return result;
}

function oneHot(x, { depth }) {
  const result = zeros([...x.shape, depth]);
  x.values.forEach((place, i) => (result.values[i * depth + place] = 1));
  return result;
}

function concat(...inputs) {
  const { axis } = inputs.pop();
  const parts = inputs.map((x) => split(x.shape, axis));
  const [before, , after, at] = parts[0];
  const length = parts.reduce((total, part) => total + part[1], 0);
  const result = zeros(inputs[0].shape.map((own, each) => (each === at ? length : own)));
  let start = 0;
  inputs.forEach(({ values }, number) => {
    const run = parts[number][1] * after;
    for (let i = 0; i < before; i++)
      result.values.set(values.subarray(i * run, (i + 1) * run), i * length * after + start);
    start += run;
  });
  return result;
}

function stack(...inputs) {
  const { axis } = inputs.pop();
  return concat(...inputs.map((x) => expandDims(x, { axis })), { axis });
}

function reshape(x, { shape }) {
  const known = shape.filter((length) => length !== -1);
  const rest = x.values.length / sizeOf(known);
  return tensor(shape.map((length) => (length === -1 ? rest : length)), x.values);
}

function expandDims(x, { axis }) {
  const shape = [...x.shape];
  shape.splice(axis < 0 ? axis + shape.length + 1 : axis, 0, 1);
  return tensor(shape, x.values);
}

// An entry of `index`: [begin, end, step] of an axis, one place in it, or null, a new axis.
function index(x, { index: entries }) {
  const shape = [];
  const lengths = [];
  const strides = [];
  let start = 0;
  let axis = 0;
  const take = (entry) => {
    const length = x.shape[axis];
    const stride = sizeOf(x.shape.slice(++axis));
    if (typeof entry === "number") {
      start += (entry < 0 ? entry + length : entry) * stride;
      return;
    }
    const [begin, count, step] = range(entry, length);
    start += begin * stride;
    shape.push(count);
    lengths.push(count);
    strides.push(step * stride);
  };
  for (const entry of entries) {
    if (entry === null) shape.push(1);
    else take(entry);
  }
  while (axis < x.shape.length) take([null, null, 1]);
  const result = zeros(shape);
  let at = 0;
  walk(lengths, [strides], (offset) => (result.values[at++] = x.values[start + offset]));
  return result;
}

// The first place, the number of places and the step of a slice, as in Python.
function range([begin, end, step], length) {
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const within = (place) => Math.min(Math.max(place < 0 ? place + length : place, low), high);
  const first = begin === null ? (step > 0 ? low : high) : within(begin);
  const last = end === null ? (step > 0 ? high : low) : within(end);
  return [first, Math.max(Math.ceil((last - first) / step), 0), step];
}

function diagonal(x) {
  const [n, m] = x.shape.slice(-2);
  const length = Math.min(n, m);
  const result = zeros([...x.shape.slice(0, -2), length]);
  for (let i = 0; i < result.values.length; i++) {
    const place = i % length;
    result.values[i] = x.values[((i - place) / length) * n * m + place * (m + 1)];
  }
  return result;
}

// Each takes its tensors, then the attributes.
export const OPERATIONS = {
  Add: pairwise((a, b) => a + b),
  Sub: pairwise((a, b) => a - b),
  Mul: pairwise((a, b) => a * b),
  Div: pairwise((a, b) => a / b),
  SquaredDifference: pairwise((a, b) => (a - b) ** 2),
  Neg: each((x) => -x),
  Square: each((x) => x * x),
  Sqrt: each(Math.sqrt),
  Rsqrt: each((x) => 1 / Math.sqrt(x)),
  Exp: each(Math.exp),
  Log: each(Math.log),
  Tanh: each(Math.tanh),
  Relu: each((x) => Math.max(x, 0)),
  Sigmoid: each((x) => 1 / (1 + Math.exp(-x))),
  Softmax: (x) => each(Math.exp)(logSoftmax(x)),
  LogSoftmax: (x) => logSoftmax(x),
  MatMul: matmul,
  Einsum: einsum,
  Conv2D: conv2d,
  Conv2DTranspose: conv2dTranspose,
  Sum: sum,
  ArgMax: argMax,
  OneHot: oneHot,
  Concat: concat,
  Stack: stack,
  Reshape: reshape,
  ExpandDims: expandDims,
  Index: index,
  Diagonal: diagonal,
};
