// The drawing pad: strokes and example pictures on a canvas, by pointer or by keyboard.

const INK = "#fff";
const PEN = 0.085; // the pen's width, as a share of the pad's
const STEP = 0.04; // of an arrow key
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  // `changed` is called with the event after every change.
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.context = canvas.getContext("2d");
    // The ink alone, without the cursor.
    this.sheet = canvas.cloneNode();
    this.ink = this.sheet.getContext("2d", { willReadFrequently: true });
    // What was done: a stroke (a list of points), an example (a canvas with its values), or null
    // for a cleared pad.
    this.actions = [];
    this.stroke = null;
    this.cursor = [canvas.width / 2, canvas.height / 2];
    this.byKeyboard = true; // and so the cursor is shown while the pad has the focus
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, () => (this.stroke = null));
    canvas.addEventListener("keydown", (event) => this.#press(event));
    canvas.addEventListener("focus", () => this.#show());
    canvas.addEventListener("blur", () => {
      this.stroke = null;
      this.#show();
    });
    this.#redraw();
  }

  // The values of an example that has not been drawn on, else null.
  get example() {
    const last = this.actions.at(-1);
    return last && !Array.isArray(last) ? last.values : null;
  }

  // Ink from 0 to 1, a Float32Array.
  read() {
    const { width, height } = this.sheet;
    const { data } = this.ink.getImageData(0, 0, width, height);
    const ink = new Float32Array(width * height);
    for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i] / 255;
    return ink;
  }

  place(image, values, event) {
    this.#add({ image, values }, event);
  }

  clear(event) {
    if (this.actions.length && this.actions.at(-1) !== null) this.#add(null, event);
  }

  undo(event) {
    this.stroke = null;
    this.actions.pop();
    this.#redraw();
    this.changed(event);
  }

  #add(action, event) {
    this.stroke = null;
    this.actions.push(action);
    this.#redraw();
    this.changed(event);
  }

  #begin(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.byKeyboard = false;
    this.#start(this.#place(event), event);
  }

  #move(event) {
    if (!this.stroke || !event.buttons) return;
    for (const each of event.getCoalescedEvents()) this.#extend(this.#place(each));
    this.#show();
    this.changed(event);
  }

  #place(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - left) * this.canvas.width) / width,
      ((event.clientY - top) * this.canvas.height) / height,
    ];
  }

  #start(point, event) {
    this.stroke = [point];
    this.actions.push(this.stroke);
    this.#drawLine(point, point);
    this.cursor = point;
    this.#show();
    this.changed(event);
  }

  #extend(point) {
    this.#drawLine(this.stroke.at(-1), point);
    this.stroke.push(point);
    this.cursor = point;
  }

  #press(event) {
    const { width, height } = this.canvas;
    this.byKeyboard = true;
    if (event.key in KEYS) {
      const [right, down] = KEYS[event.key];
      const within = (value, most) => Math.min(Math.max(value, 0), most);
      const point = [
        within(this.cursor[0] + right * STEP * width, width),
        within(this.cursor[1] + down * STEP * width, height),
      ];
      this.cursor = point;
      if (this.stroke) this.#extend(point);
      this.#show();
      if (this.stroke) this.changed(event);
    } else if (event.key === " " || event.key === "Enter") {
      if (this.stroke) {
        this.stroke = null;
        this.#show();
      } else this.#start(this.cursor, event);
    } else if (event.key === "Backspace" || (event.key === "z" && (event.ctrlKey || event.metaKey))) {
      this.undo(event);
    } else if (event.key === "Delete") this.clear(event);
    else return;
    event.preventDefault();
  }

  #drawLine([x1, y1], [x2, y2]) {
    Object.assign(this.ink, { strokeStyle: INK, lineCap: "round", lineWidth: PEN * this.sheet.width });
    this.ink.beginPath();
    this.ink.moveTo(x1, y1);
    this.ink.lineTo(x2 + 0.01, y2); // a line without length would leave no dot
    this.ink.stroke();
  }

  #redraw() {
    const { width, height } = this.sheet;
    const cleared = this.actions.lastIndexOf(null);
    this.ink.fillStyle = "#000";
    this.ink.fillRect(0, 0, width, height);
    for (const action of this.actions.slice(cleared + 1)) {
      if (Array.isArray(action))
        action.forEach((point, i) => this.#drawLine(action[Math.max(i - 1, 0)], point));
      else this.ink.drawImage(action.image, 0, 0, width, height);
    }
    this.#show();
  }

  // Shows the ink, and the keyboard's cursor while the pad has the focus.
  #show() {
    this.context.drawImage(this.sheet, 0, 0);
    if (document.activeElement !== this.canvas || !this.byKeyboard) return;
    const [x, y] = this.cursor;
    const size = STEP * this.canvas.width;
    Object.assign(this.context, { strokeStyle: this.stroke ? "#f90" : "#4af", lineWidth: 2 });
    this.context.beginPath();
    this.context.moveTo(x - size, y);
    this.context.lineTo(x + size, y);
    this.context.moveTo(x, y - size);
    this.context.lineTo(x, y + size);
    this.context.stroke();
  }
}
