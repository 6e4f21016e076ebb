// From a drawing to what a model reads, as MNIST's digits were prepared: scaled to a box, its
// proportions kept, its edges grey, then moved so that its centre of mass is in the middle.

// `ink` holds values from 0 to 1, `width` a row. The result has `shape`, or is null without ink.
export function toDigit(ink, width, shape, box) {
  const bounds = inkBounds(ink, width);
  if (!bounds) return null;
  const { left, top, right, bottom } = bounds;
  const scale = box / Math.max(right - left, bottom - top);
  const columns = cover(left, right, Math.max(Math.round((right - left) * scale), 1));
  const rows = cover(top, bottom, Math.max(Math.round((bottom - top) * scale), 1));
  const small = shrink(ink, width, rows, columns);
  return centred(small, columns.length, shape);
}

function inkBounds(ink, width) {
  let [left, top, right, bottom] = [width, Infinity, -1, -1];
  for (let start = 0, y = 0; start < ink.length; start += width, y++)
    for (let x = 0; x < width; x++) {
      if (ink[start + x] < 0.5) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
  return right < 0 ? null : { left, top, right, bottom };
}

// The share that each pixel from `begin` to `end` has in each of n pixels of equal length.
function cover(begin, end, n) {
  const length = (end - begin) / n;
  return Array.from({ length: n }, (_, number) => {
    const [from, to] = [begin + number * length, begin + (number + 1) * length];
    const shares = [];
    for (let pixel = Math.floor(from); pixel < Math.min(Math.ceil(to - 1e-9), end); pixel++) {
      const share = (Math.min(pixel + 1, to) - Math.max(pixel, from)) / length;
      if (share > 0) shares.push([pixel, share]);
    }
    return shares;
  });
}

// Means over areas: first along rows, then along columns.
function shrink(ink, width, rows, columns) {
  const result = new Float32Array(rows.length * columns.length);
  const line = new Float32Array(columns.length);
  rows.forEach((parts, row) => {
    for (const [y, part] of parts) {
      columns.forEach((shares, column) => {
        line[column] = 0;
        for (const [x, share] of shares) line[column] += share * ink[y * width + x];
      });
      line.forEach((value, column) => (result[row * columns.length + column] += part * value));
    }
  });
  return result;
}

// The middle is the place [height / 2, width / 2], as it is on average in MNIST.
function centred(small, width, [height, wide]) {
  let [mass, x, y] = [0, 0, 0];
  small.forEach((value, i) => {
    mass += value;
    x += value * (i % width);
    y += value * Math.floor(i / width);
  });
  const [right, down] = [Math.round(wide / 2 - x / mass), Math.round(height / 2 - y / mass)];
  const result = new Float32Array(height * wide);
  small.forEach((value, i) => {
    const [column, row] = [(i % width) + right, Math.floor(i / width) + down];
    const inside = column >= 0 && column < wide && row >= 0 && row < height;
    if (inside) result[row * wide + column] = Math.min(value, 1);
  });
  return result;
}
