// Small elements that all panels use.

// A new element with attributes, properties beginning with a dot, and children.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// A canvas with one pixel for each of a picture's; the style sheet enlarges it.
export function picture([height, width], label) {
  return element("canvas", { width, height, class: "picture", role: "img", "aria-label": label });
}

// Paints `values`, from 0 (black) to 1 (white), from place `start`; black without values.
export function paint(canvas, values, start = 0) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = image.data; // they clamp and round what they are given
  for (let i = 0; i < pixels.length; i += 4) {
    pixels[i] = pixels[i + 1] = pixels[i + 2] = values ? 255 * values[start + i / 4] : 0;
    pixels[i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// A button that calls `press`.
export function button(text, press, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", press);
  return made;
}

// A chip with the number and the colour of a digit, expert or cluster.
export function chip(colours, number) {
  const made = element("span", { class: "chip", "aria-hidden": "true" }, String(number));
  made.style.setProperty("--colour", colours[number % colours.length]);
  return made;
}

// Fills an element with one text for each model, all in one place, so that the element has room for
// the longest; returns a function that shows one of them.
export function stackTexts(parent, texts) {
  const items = texts.map((text) => element("span", {}, text));
  parent.classList.add("stack");
  parent.replaceChildren(...items);
  return (number) => items.forEach((item, i) => item.classList.toggle("shown", i === number));
}

// "expert 3 (digit 7)", or the name alone without a match; a line breaks only before the bracket.
export const titleOf = ({ name, matched }) =>
  matched ? `${unbroken(name)} (${unbroken(matched)})` : unbroken(name);

const unbroken = (text) => text.replaceAll(" ", "\u00a0");

export const percent = (probability) => `${(100 * probability).toFixed(1)} %`;
