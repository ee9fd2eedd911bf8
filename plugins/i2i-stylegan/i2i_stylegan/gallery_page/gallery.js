// The gallery: all that a request needs, seeds, styles and strengths, is kept on this page.
import { action, element, latest } from "../../../panel.js";

const COUNT = 16;
const state = { info: null, seeds: [], chosen: [], parents: [], round: 0 };

const options = () => ({
  truncation: Number(element("truncation").value),
  class: element("class").value === "" ? null : Number(element("class").value),
});

function tile(image, label) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "tile", title: label });
  button.append(Object.assign(new Image(), { src: image, alt: label }));
  return button;
}

const draw = latest(async () => {
  const first = Math.max(0, Math.floor(Number(element("first").value) || 0));
  const seeds = Array.from({ length: COUNT }, (_, index) => first + index);
  const { images } = await action("sample", { seeds, ...options() });
  state.seeds = seeds;
  element("images").replaceChildren(...images.map((image, index) => {
    const button = tile(image, `seed ${seeds[index]}`);
    button.addEventListener("click", () => choose(seeds[index]));
    button.addEventListener("dblclick", () => addParent({ seed: seeds[index] }, image));
    return button;
  }));
  mark();
  if (state.chosen.length === 2) mix();
});

function choose(seed) {
  if (!state.info.layers) return;
  state.chosen = state.chosen.length === 2 ? [seed] : [...state.chosen, seed];
  mark();
  if (state.chosen.length === 2) mix();
}

function mark() {
  [...element("images").children].forEach((button, index) => {
    button.classList.toggle("first", state.seeds[index] === state.chosen[0]);
    button.classList.toggle("second", state.seeds[index] === state.chosen[1]);
  });
}

const mix = latest(async () => {
  const layers = [...document.querySelectorAll("[name=layer]:checked")].map((box) => Number(box.value));
  if (!layers.length) return element("mixed").replaceChildren();
  const [row, column] = state.chosen;
  const { image } = await action("mix", { row, column, layers, ...options() });
  element("mixed").replaceChildren(tile(image, `seed ${row} with layers ${layers} of seed ${column}`));
});

function addParent(genome, image) {
  if (!state.info.layers) return;
  const label = document.createElement("label");
  const weight = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 1, step: 0.05, value: 0.5 });
  weight.setAttribute("aria-label", "Weight of the parent");
  label.append(tile(image, "parent"), weight);
  element("parents").append(label);
  state.parents.push({ genome, weight });
  element("breed").disabled = false;
}

async function breed() {
  const parents = state.parents.map(({ genome, weight }) => ({ ...genome, weight: Number(weight.value) }));
  state.round += 1;
  const given = { parents, mutation: Number(element("mutation").value), count: 8, seed: state.round, ...options() };
  const { children } = await action("breed", given);
  element("children").replaceChildren(...children.map(({ image, ws }, index) => {
    const button = tile(image, `child ${index + 1}`);
    button.addEventListener("dblclick", () => addParent({ ws }, image));
    return button;
  }));
}

async function start() {
  state.info = await action("info");
  const { layers, classes, truncation, size } = state.info;
  element("truncation-label").hidden = !truncation;
  element("class-label").hidden = !classes;
  element("class").replaceChildren(new Option("all", ""), ...Array.from({ length: classes }, (_, index) => new Option(index)));
  element("styled").hidden = !layers;
  element("layers").replaceChildren(...Array.from({ length: layers }, (_, index) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "layer", value: index, checked: index < layers / 2 });
    label.append(box, `${index} (${Math.min(size, 2 ** (2 + Math.floor((index + 1) / 2)))} px)`);
    return label;
  }));
  document.querySelector("main").hidden = false;
  draw();
}

const page = (step) => {
  element("first").value = Math.max(0, Number(element("first").value) + step);
  draw();
};
element("next").addEventListener("click", () => page(COUNT));
element("back").addEventListener("click", () => page(-COUNT));
element("first").addEventListener("change", () => draw());
element("class").addEventListener("change", () => draw());
element("truncation").addEventListener("input", (event) => {
  element("truncation-shown").textContent = event.target.value;
  draw();
});
element("mutation").addEventListener("input", (event) => { element("mutation-shown").textContent = event.target.value; });
element("layers").addEventListener("change", () => { if (state.chosen.length === 2) mix(); });
element("breed").addEventListener("click", () => breed().catch(() => {}));
element("clear").addEventListener("click", () => {
  state.parents = [];
  element("parents").replaceChildren();
  element("breed").disabled = true;
});
for (const id of ["options", "breeding"]) element(id).addEventListener("submit", (event) => event.preventDefault());
start().catch(() => {});
