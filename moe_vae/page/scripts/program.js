// A model: its signatures as a graph of operations in which equal parts are one.

import { OPERATIONS } from "./operations.js";
import { tensor } from "./tensors.js";

export class Program {
  // `signatures` is what docs/export.md describes; `arrays` a Map of name to tensor.
  constructor(signatures, arrays) {
    this.signatures = signatures;
    this.nodes = [];
    this.byKey = new Map();
    this.outputs = {};
    for (const [name, signature] of Object.entries(signatures))
      this.outputs[name] = this.#add(signature, arrays);
  }

  #add({ inputs, operations, output }, arrays) {
    const known = new Map();
    for (const name of Object.keys(inputs)) known.set(name, this.#node(`input ${name}`, { feed: name }));
    const find = (source) => {
      if (typeof source === "number")
        return this.#node(`number ${source}`, { value: tensor([], Float32Array.of(source)) });
      if (!known.has(source)) known.set(source, this.#node(`array ${source}`, { value: arrays.get(source) }));
      return known.get(source);
    };
    for (const step of operations) {
      const sources = step.inputs.map(find);
      const key = JSON.stringify([step.op, sources, step.attributes]);
      const fixed = sources.every((source) => this.nodes[source].fixed);
      known.set(step.output, this.#node(key, { op: step.op, sources, attributes: step.attributes, fixed }));
    }
    return known.get(output);
  }

  // The number of the node with this key; a new one if there is none yet.
  #node(key, node) {
    if (!this.byKey.has(key)) {
      this.byKey.set(key, this.nodes.length);
      this.nodes.push({ fixed: node.value !== undefined, ...node });
    }
    return this.byKey.get(key);
  }

  has(...names) {
    return names.every((name) => name in this.outputs);
  }

  // Returns a function of a signature's name that computes its output for these inputs, a dict of
  // name to tensor. What two signatures share is computed once.
  feed(inputs) {
    const computed = new Map();
    return (name) => this.#compute(this.outputs[name], inputs, computed);
  }

  #compute(number, inputs, computed) {
    const node = this.nodes[number];
    if (node.value) return node.value; // of the weights alone
    if (computed.has(number)) return computed.get(number);
    let result;
    if (node.feed) result = inputs[node.feed];
    else {
      const tensors = node.sources.map((source) => this.#compute(source, inputs, computed));
      result = OPERATIONS[node.op](...tensors, node.attributes);
    }
    if (node.fixed) node.value = result;
    else computed.set(number, result);
    return result;
  }
}
