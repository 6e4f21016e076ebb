// Tensors: a shape, and the values in a Float32Array, the last axis fastest.

export const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

export const tensor = (shape, values) => ({ shape, values });

export const zeros = (shape) => tensor(shape, new Float32Array(sizeOf(shape)));

// The shape to which two shapes broadcast, as in NumPy.
export function commonShape(first, second) {
  const rank = Math.max(first.length, second.length);
  return Array.from({ length: rank }, (_, axis) => {
    const a = first[axis - rank + first.length] ?? 1;
    const b = second[axis - rank + second.length] ?? 1;
    if (a !== b && a !== 1 && b !== 1) throw new Error(`no common shape: ${first} and ${second}`);
    return a === 1 ? b : a;
  });
}

// How far apart neighbours along each axis are; 0 along an axis that is broadcast to `shape`.
export function stridesIn(own, shape) {
  const strides = new Array(shape.length).fill(0);
  let step = 1;
  for (let axis = own.length - 1; axis >= 0; axis--) {
    if (own[axis] !== 1) strides[axis + shape.length - own.length] = step;
    step *= own[axis];
  }
  return strides;
}

// Calls `visit` with one offset for each list of strides, for all places of a shape in order.
export function walk(shape, stridesOfAll, visit) {
  const place = new Array(shape.length).fill(0);
  const offsets = stridesOfAll.map(() => 0);
  for (let count = sizeOf(shape); count > 0; count--) {
    visit(...offsets);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis]++;
      stridesOfAll.forEach((strides, i) => (offsets[i] += strides[axis]));
      if (place[axis] < shape[axis]) break;
      stridesOfAll.forEach((strides, i) => (offsets[i] -= strides[axis] * shape[axis]));
      place[axis] = 0;
    }
  }
}

// The number of places before an axis, along it, and after it.
export function split(shape, axis) {
  const at = axis < 0 ? axis + shape.length : axis;
  return [sizeOf(shape.slice(0, at)), shape[at], sizeOf(shape.slice(at + 1)), at];
}

// Adds `factor` times a row of values to another row.
export function addRow(to, target, from, source, length, factor) {
  for (let i = 0; i < length; i++) to[target + i] += factor * from[source + i];
}
