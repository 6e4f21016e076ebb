// What the page carries as text: bytes, and the arrays of a model in them.

import { sizeOf, tensor } from "./tensors.js";

// The bytes of a zlib stream in base64.
export async function unpackBytes(text) {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// The value of a number in half precision: 1 bit of sign, 5 of exponent, 10 of fraction.
export function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return (sign * fraction) / 2 ** 24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// How the values of each kind of array stand in the bytes, from `start`: [values, end].
const READERS = {
  single(buffer, start, shape) {
    const end = start + 4 * sizeOf(shape);
    return [new Float32Array(buffer.slice(start, end)), end];
  },
  half(buffer, start, shape) {
    const end = start + 2 * sizeOf(shape);
    return [Float32Array.from(new Uint16Array(buffer.slice(start, end)), fromHalf), end];
  },
  // Whole numbers as signed bytes, then the step of each column in single precision.
  steps(buffer, start, shape) {
    const n = sizeOf(shape);
    const whole = new Int8Array(buffer, start, n);
    const width = shape.at(-1);
    const end = start + n + 4 * width;
    const step = new Float32Array(buffer.slice(start + n, end));
    const values = new Float32Array(n);
    for (let row = 0; row < n; row += width)
      for (let i = 0; i < width; i++) values[row + i] = whole[row + i] * step[i];
    return [values, end];
  },
};

// A Map of name to tensor: the arrays of a model of the page.
export async function unpackArrays({ arrays, weights }) {
  const buffer = await unpackBytes(weights);
  const found = new Map();
  let start = 0;
  for (const { name, shape, kind } of arrays) {
    const [values, end] = READERS[kind](buffer, start, shape);
    found.set(name, tensor(shape, values));
    start = end;
  }
  return found;
}
