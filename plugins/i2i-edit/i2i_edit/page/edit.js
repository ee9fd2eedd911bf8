// The editing panel. All state lives here: style vectors, strengths, vectors and the brush's edit; requests carry them.
import { action, dataURL, element, latest, say, slider } from "../../../panel.js";

let info, state, labels, width, height, brush = 1, before = null;
let undone = [], done = [], drawing = false, strokeStart = null;
const clone = (value) => structuredClone(value);

const board = element("image").getContext("2d");
const overlay = element("mask").getContext("2d", { willReadFrequently: true });
const compare = slider("data:,", "data:,");

function load(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image);
}

// The vectors of a request: those of the list, and the edit of the brush, which is not named yet.
function request(of) {
  const vectors = of.vectors.map(({ ws, scale }) => ({ ws, scale }));
  if (of.edit) vectors.push({ ws: of.edit.ws, scale: 1 });
  const moved = Object.entries(of.directions).filter(([, strength]) => strength);
  return { ws: of.ws, directions: Object.fromEntries(moved), vectors };
}

// Remember the present state for "undo", and forget what was undone.
function remember(previous = clone(state)) {
  done.push(previous);
  if (done.length > 100) done.shift();
  undone = [];
}

async function show(answer, keepMask = false) {
  const image = await load(answer.image);
  width = image.naturalWidth;
  height = image.naturalHeight;
  if (element("image").width !== width || element("image").height !== height) {
    for (const id of ["image", "mask"]) Object.assign(element(id), { width, height });
  }
  board.drawImage(image, 0, 0);
  before ??= answer.image;
  compare.querySelector(".before").src = before;
  compare.querySelector(".after").src = answer.image;
  element("download").href = answer.image;
  if (answer.mask && !keepMask) await readMask(answer.mask);
}

async function readMask(address) {
  const image = await load(address);
  const scratch = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  scratch.drawImage(image, 0, 0);
  const pixels = scratch.getImageData(0, 0, width, height).data;
  const numbers = new Map(info.classes.map(([, color], number) => [color, number]));
  labels = new Uint8Array(width * height);
  for (let index = 0; index < labels.length; index++) {
    const hex = [0, 1, 2].map((channel) => pixels[4 * index + channel].toString(16).padStart(2, "0")).join("");
    labels[index] = numbers.get(`#${hex}`) ?? 0;
  }
  drawMask();
}

const rgb = (color) => [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));

function drawMask() {
  const pixels = overlay.createImageData(width, height);
  const colors = info.classes.map(([, color]) => rgb(color));
  labels.forEach((number, index) => pixels.data.set([...colors[number], 255], 4 * index));
  overlay.putImageData(pixels, 0, 0);
}

// A disc of the chosen class, in whole pixels, so that no colours mix.
function stamp(x, y) {
  const radius = Number(element("size").value) + 0.5;
  for (let row = Math.floor(y - radius); row <= y + radius; row++) {
    for (let column = Math.floor(x - radius); column <= x + radius; column++) {
      if (row < 0 || column < 0 || row >= height || column >= width) continue;
      if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius) labels[row * width + column] = brush;
    }
  }
}

function place(event) {
  const box = element("mask").getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height];
}

let last = null;
function stroke(event) {
  const [x, y] = place(event);
  const [fromX, fromY] = last ?? [x, y];
  const steps = Math.max(1, Math.ceil(Math.hypot(x - fromX, y - fromY) * 2));
  for (let step = 0; step <= steps; step++) stamp(fromX + (x - fromX) * step / steps, fromY + (y - fromY) * step / steps);
  last = [x, y];
  drawMask();
}

// Each answer replaces the edit of the stroke so far; the stroke always starts from the state before it.
const edit = latest(async (start, mask, final) => {
  element("status").textContent = "editing ...";
  const began = performance.now();
  try {
    const answer = await action("brush", { state: request(start), mask });
    if (start !== strokeStart) return;
    const previous = start.edit;
    state.edit = {
      ws: previous ? sum(previous.ws, answer.ws) : answer.ws,
      classes: [...new Set([...(previous?.classes ?? []), ...answer.classes])],
    };
    element("status").textContent = `edited in ${((performance.now() - began) / 1000).toFixed(2)} s`;
    await show(answer, drawing);
    lists();
  } catch {
    element("status").textContent = "";
    if (!final) return;
    const problem = element("problem").textContent;
    await draw();
    say(problem);  // still concerns the image that is shown
  }
});

function maskURL() {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.putImageData(overlay.getImageData(0, 0, width, height), 0, 0);
  return canvas.toDataURL("image/png");
}

const numbersOf = (text) => new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);

function sum(one, other) {
  const numbers = numbersOf(one);
  numbersOf(other).forEach((value, index) => (numbers[index] += value));
  return btoa(Array.from(new Uint8Array(numbers.buffer), (byte) => String.fromCharCode(byte)).join(""));
}

const draw = latest(async () => {
  const began = performance.now();
  await show(await action("render", { state: request(state) }));
  element("status").textContent = `generated in ${((performance.now() - began) / 1000).toFixed(2)} s`;
});

function change(label, value, low, high, onInput, buttons = []) {
  const row = document.createElement("div");
  row.className = "change";
  const text = Object.assign(document.createElement("span"), { textContent: label });
  const range = Object.assign(document.createElement("input"), { type: "range", min: low, max: high, step: 0.05, value });
  range.setAttribute("aria-label", label);
  const shown = Object.assign(document.createElement("output"), { textContent: Number(value).toFixed(2) });
  let previous = null;
  range.addEventListener("input", () => {
    previous ??= clone(state);
    shown.textContent = Number(range.value).toFixed(2);
    onInput(Number(range.value));
    draw();
  });
  range.addEventListener("change", () => {
    if (previous) remember(previous);
    previous = null;
    buttonsOfHistory();
  });
  const group = document.createElement("div");
  group.className = "buttons";
  for (const [name, work] of buttons) {
    const button = Object.assign(document.createElement("button"), { textContent: name, type: "button" });
    button.setAttribute("aria-label", `${name} ${label}`);
    button.addEventListener("click", work);
    group.append(button);
  }
  row.append(text, range, shown, group);
  return row;
}

function buttonsOfHistory() {
  element("undo").disabled = !done.length;
  element("redo").disabled = !undone.length;
  element("reset").disabled = !done.length;
}

function lists() {
  element("directions").replaceChildren(
    ...info.directions.map(({ name }) =>
      change(name, state.directions[name] ?? 0, -info.range, info.range, (value) => (state.directions[name] = value))),
  );
  element("vectors").replaceChildren(
    ...state.vectors.map((vector, index) => {
      const buttons = [["Remove", () => replaceVectors(state.vectors.filter((_, other) => other !== index))]];
      if (vector.classes.length && info.classes.length) buttons.unshift(["Refine", () => refine(index)]);
      return change(vector.name, vector.scale, -2, 3, (value) => (state.vectors[index].scale = value), buttons);
    }),
  );
  element("saving").hidden = !state.edit;
  buttonsOfHistory();
}

function replaceVectors(vectors) {
  remember();
  state.vectors = vectors;
  lists();
  draw();
}

// Restore what a vector changed outside of its classes; the result is a vector of this image.
async function refine(index) {
  const { ws, scale, classes } = state.vectors[index];
  const rest = clone(state);
  rest.vectors.splice(index, 1);
  element("status").textContent = "refining ...";
  const answer = await action("refine", { state: request(rest), vector: { ws, scale }, classes }).catch(() => null);
  element("status").textContent = "";
  if (!answer) return;
  remember();
  Object.assign(state.vectors[index], { ws: answer.ws, scale: 1 });
  lists();
  await show(answer);
}

async function begin(ws) {
  remember();
  state = { ws, directions: {}, vectors: [], edit: null };
  before = null;
  lists();
  await draw();
}

async function seed() {
  const answer = await action("start", { seed: Number(element("seed").value) }).catch(() => null);
  if (answer) await begin(answer.ws);
}

function restore(from, to) {
  if (!from.length) return;
  to.push(clone(state));
  const ws = state.ws;
  state = from.pop();
  if (state.ws !== ws) before = null;
  lists();
  draw();
}

async function save() {
  const name = element("name").value.trim() || "edit";
  const { ws, classes } = state.edit;
  const address = await action("save", { vector: { ws, scale: 1 }, classes, name }).catch(() => null);
  if (!address) return;
  Object.assign(document.createElement("a"), { href: address, download: `${name}.safetensors` }).click();
  remember();
  state.vectors.push({ name, ws, classes, scale: 1 });
  state.edit = null;
  element("name").value = "";
  lists();
}

async function open(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const content = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const answer = await action("load", { content }).catch(() => null);
  if (answer) replaceVectors([...state.vectors, { ...answer, scale: 1 }]);
}

async function apply() {
  element("status").textContent = "editing ...";
  const text = element("text").value;
  const answer = await action("words", { state: request(state), text }).catch(() => null);
  element("status").textContent = "";
  if (answer) replaceVectors([...state.vectors, { name: text, ws: answer.ws, classes: [], scale: 1 }]);
}

async function upload(file) {
  element("status").textContent = "searching for your image ...";
  const image = await dataURL(file, 1024).catch(() => say("this file is no image that the browser can read"));
  const answer = image && (await action("project", { image }).catch(() => null));
  element("status").textContent = "";
  if (answer) await begin(answer.ws);
}

function listen() {
  const mask = element("mask");
  mask.addEventListener("pointerdown", (event) => {
    if (!info.classes.length || !labels) return;
    mask.setPointerCapture(event.pointerId);
    drawing = true;
    last = null;
    strokeStart = clone(state);
    stroke(event);
    edit(strokeStart, maskURL(), false);
  });
  mask.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    stroke(event);
    edit(strokeStart, maskURL(), false);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    mask.addEventListener(name, () => {
      if (!drawing) return;
      drawing = false;
      remember(strokeStart);
      edit(strokeStart, maskURL(), true);
      buttonsOfHistory();
    });
  }
  element("opacity").addEventListener("input", () => (mask.style.opacity = element("opacity").value / 100));
  element("seed").addEventListener("change", seed);
  element("random").addEventListener("click", () => {
    element("seed").value = Math.floor(Math.random() * 1e6);
    seed();
  });
  element("undo").addEventListener("click", () => restore(done, undone));
  element("redo").addEventListener("click", () => restore(undone, done));
  element("reset").addEventListener("click", () => {
    remember();
    state = { ...state, directions: {}, vectors: [], edit: null };
    lists();
    draw();
  });
  addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.type === "text") return;
    event.preventDefault();
    if (event.shiftKey) restore(undone, done);
    else restore(done, undone);
  });
  element("save").addEventListener("click", save);
  element("open").addEventListener("change", () => element("open").files[0] && open(element("open").files[0]));
  element("apply").addEventListener("click", apply);
  element("text").addEventListener("keydown", (event) => event.key === "Enter" && apply());
  element("upload").addEventListener("change", () => element("upload").files[0] && upload(element("upload").files[0]));
}

function palette() {
  element("classes").replaceChildren(
    ...info.classes.map(([name, color], number) => {
      const button = Object.assign(document.createElement("button"), { className: "class", type: "button" });
      const swatch = document.createElement("i");
      swatch.style.background = color;
      button.append(swatch, name);
      button.setAttribute("role", "radio");
      button.addEventListener("click", () => {
        brush = number;
        [...element("classes").children].forEach((one, other) => one.setAttribute("aria-checked", other === number));
      });
      button.setAttribute("aria-checked", number === brush);
      return button;
    }),
  );
  element("brushes").hidden = !info.classes.length;
  element("mask").hidden = !info.classes.length;
  element("unlabelled").hidden = Boolean(info.classes.length);
}

info = await action("describe");
element("run").textContent = decodeURIComponent(location.pathname.split("/").at(-2));
element("notes").textContent = info.notes.join(" ");
element("notes").hidden = !info.notes.length;
element("words").hidden = !info.words;
element("upload-label").hidden = !info.projects;
element("compare").append(compare);
palette();
listen();
document.querySelector("main").hidden = false;
const first = await action("start", { seed: 0 });
state = { ws: first.ws, directions: {}, vectors: [], edit: null };
lists();
await draw();
