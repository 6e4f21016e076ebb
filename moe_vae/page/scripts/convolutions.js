// Convolutions of pictures [batch, height, width, channels], padded with zeros so that the result
// has one place for every `stride` pixels.

import { addRow, zeros } from "./tensors.js";

// The zeros before the first pixel, of a picture's side and a kernel's.
const before = (length, kernel, stride) =>
  Math.floor(Math.max((Math.ceil(length / stride) - 1) * stride + kernel - length, 0) / 2);

// Calls `visit` with each pixel of the smaller picture, and the pixel of the larger one and the
// place in the kernel that meet it.
function meet(large, small, [height, width], [down, across], [top, left], visit) {
  for (let y = 0; y < small[0]; y++)
    for (let x = 0; x < small[1]; x++)
      for (let i = 0; i < height; i++) {
        const row = y * down + i - top;
        if (row < 0 || row >= large[0]) continue;
        for (let j = 0; j < width; j++) {
          const column = x * across + j - left;
          if (column < 0 || column >= large[1]) continue;
          visit(y * small[1] + x, row * large[1] + column, i * width + j);
        }
      }
}

// A kernel is [height, width, channels, filters].
export function conv2d(x, kernel, { strides }) {
  const [n, height, width, nIn] = x.shape;
  const [tall, wide, , nOut] = kernel.shape;
  const [rows, columns] = [Math.ceil(height / strides[0]), Math.ceil(width / strides[1])];
  const start = [before(height, tall, strides[0]), before(width, wide, strides[1])];
  const result = zeros([n, rows, columns, nOut]);
  const [from, weights, to] = [x.values, kernel.values, result.values];
  for (let b = 0; b < n; b++)
    meet([height, width], [rows, columns], [tall, wide], strides, start, (small, large, at) => {
      const target = (b * rows * columns + small) * nOut;
      const source = (b * height * width + large) * nIn;
      for (let c = 0; c < nIn; c++) {
        const value = from[source + c];
        if (value !== 0) addRow(to, target, weights, (at * nIn + c) * nOut, nOut, value);
      }
    });
  return result;
}

// The gradient of a convolution: `strides` times as high and as wide. A kernel is [height, width,
// filters, channels], the last axis for the channels of `x`.
export function conv2dTranspose(x, kernel, { strides }) {
  const [n, rows, columns, nIn] = x.shape;
  const [tall, wide, nOut] = kernel.shape;
  const [height, width] = [rows * strides[0], columns * strides[1]];
  const start = [before(height, tall, strides[0]), before(width, wide, strides[1])];
  const result = zeros([n, height, width, nOut]);
  const [from, weights, to] = [x.values, kernel.values, result.values];
  for (let b = 0; b < n; b++)
    meet([height, width], [rows, columns], [tall, wide], strides, start, (small, large, at) => {
      const source = (b * rows * columns + small) * nIn;
      const target = (b * height * width + large) * nOut;
      for (let o = 0; o < nOut; o++) {
        const first = (at * nOut + o) * nIn;
        let sum = 0;
        for (let c = 0; c < nIn; c++) sum += from[source + c] * weights[first + c];
        to[target + o] += sum;
      }
    });
  return result;
}
