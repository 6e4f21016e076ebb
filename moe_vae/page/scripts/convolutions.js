// Convolutions of pictures [batch, height, width, channels] with a kernel [height, width, in, out].

import { zeros } from "./tensors.js";

// Where the kernel's first row or column begins, and the length of the result.
function extent(length, kernel, stride, padding) {
  if (padding === "VALID") return [0, Math.floor((length - kernel) / stride) + 1];
  const result = Math.ceil(length / stride);
  const padded = Math.max((result - 1) * stride + kernel - length, 0);
  return [Math.floor(padded / 2), result];
}

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

export function conv2d(x, kernel, { strides, padding }) {
  const [n, height, width, nIn] = x.shape;
  const [tall, wide, , nOut] = kernel.shape;
  const [top, rows] = extent(height, tall, strides[0], padding);
  const [left, columns] = extent(width, wide, strides[1], padding);
  const result = zeros([n, rows, columns, nOut]);
  const [from, weights, to] = [x.values, kernel.values, result.values];
  for (let b = 0; b < n; b++)
    meet([height, width], [rows, columns], [tall, wide], strides, [top, left], (small, large, at) => {
      const target = (b * rows * columns + small) * nOut;
      const source = (b * height * width + large) * nIn;
      for (let c = 0; c < nIn; c++) {
        const value = from[source + c];
        if (value === 0) continue;
        const first = (at * nIn + c) * nOut;
        for (let o = 0; o < nOut; o++) to[target + o] += value * weights[first + o];
      }
    });
  return result;
}

// The gradient of `conv2d`, which enlarges a picture. As in TensorFlow, the kernel's last axis
// counts the channels of `x`, and `shape` is that of the result, its batch left out.
export function conv2dTranspose(x, kernel, { strides, padding, shape }) {
  const [n, rows, columns, nIn] = x.shape;
  const [tall, wide, nOut] = kernel.shape;
  const [height, width] = shape;
  const [top] = extent(height, tall, strides[0], padding);
  const [left] = extent(width, wide, strides[1], padding);
  const result = zeros([n, height, width, nOut]);
  const [from, weights, to] = [x.values, kernel.values, result.values];
  for (let b = 0; b < n; b++)
    meet([height, width], [rows, columns], [tall, wide], strides, [top, left], (small, large, at) => {
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
