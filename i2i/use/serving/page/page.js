// The page of `i2i serve`: one request to /translate for each image and model.

import { element, request, say, slider } from "./panel.js";

const state = { models: [], inputs: [], camera: null, generation: 0 };
async function start() {
  const fragment = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fragment) {
    sessionStorage.setItem("token", fragment);
    history.replaceState(null, "", location.pathname);
  }
  let all;
  try {
    all = (await (await request("models")).json()).models;
  } catch (error) {
    element("token-form").hidden = error.status !== 401;
    if (error.status !== 401) say(error.message);
    return;
  }
  say("");
  element("token-form").hidden = true;
  document.querySelector("main").hidden = false;
  state.models = all.filter((model) => model.targets.length);
  for (const id of ["options", "drop"]) element(id).hidden = !state.models.length;
  const panels = all.flatMap((model) => model.panels.map((panel) => [model, panel]));
  element("panels").replaceChildren(...panels.map(([model, { title, href }]) => {
    return Object.assign(document.createElement("a"), { href, textContent: `${title}: ${model.name}` });
  }));
  element("panels").hidden = !panels.length;
  const models = element("models");
  for (const [index, model] of state.models.entries()) {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "model", value: model.name });
    box.checked = index === 0 || state.models.length <= 3;
    label.append(box, `${model.name} (${model.recipe}, step ${model.step})`);
    models.append(label);
  }
  models.hidden = state.models.length === 1;
  choose();
}

const chosen = () => {
  const names = [...document.querySelectorAll("[name=model]:checked")].map((box) => box.value);
  return state.models.filter((model) => names.includes(model.name));
};

// Show the options that the chosen models have.
function choose() {
  const models = chosen();
  const to = element("to"), before = to.value;
  const targets = [...new Set(models.flatMap((model) => model.targets))];
  to.replaceChildren(...targets.map((target) => new Option(target)));
  to.value = targets.includes(before) ? before : targets.at(-1) ?? "";
  element("size").disabled = models.length > 0 && models.every((model) => model.fixed_size);
  const styled = models.filter((model) => model.style);
  element("style").hidden = styled.length === 0;
  const numbered = styled.find((model) => model.style.numbers);
  element("style-number").hidden = !numbered;
  element("style-image").hidden = !styled.some((model) => model.style.image);
  element("blend").hidden = !(numbered && numbered.blend);
  if (numbered) {
    for (const input of [element("number"), element("second")]) {
      input.min = numbered.style.first;
      if (numbered.style.last !== null) input.max = numbered.style.last;
    }
    if (element("number").value === "") element("number").value = numbered.style.first;
  }
  const numbers = Object.assign({}, ...models.map((model) => model.conditions));
  element("conditions").replaceChildren(...Object.entries(numbers).map(([name, value]) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "number", step: "any", name: "condition", value });
    input.dataset.name = name;
    label.append(name, input);
    return label;
  }));
  element("heatmap-label").hidden = !models.some((model) => model.heatmap);
}

// Return the form fields for one model.
function fields(model) {
  const body = new FormData();
  body.append("model", model.name);
  const to = element("to").value;
  body.append("to", model.targets.includes(to) ? to : model.targets.at(-1));
  if (element("size").value && !model.fixed_size) body.append("size", element("size").value.trim());
  if (model.style) {
    const reference = model.style.image ? element("reference").files[0] : null;
    const numbers = model.style.numbers && !reference ? [element("number").value, element("second").value] : [];
    const given = numbers.filter((number) => number !== "");
    if (reference) body.append("style_image", reference);
    if (given.length) body.append("style", (model.blend ? given : given.slice(0, 1)).join(","));
    if (given.length === 2 && model.blend) {
      const share = Number(element("share").value);
      body.append("weights", `${1 - share},${share}`);
    }
  }
  const inputs = [...document.querySelectorAll("[name=condition]")].filter((input) => input.dataset.name in model.conditions);
  if (inputs.length) {
    body.append("conditions", JSON.stringify(Object.fromEntries(inputs.map((input) => [input.dataset.name, Number(input.value)]))));
  }
  return body;
}

async function translate(model, blob, output = "translation", name = "image.png") {
  const body = fields(model);
  body.append("image", blob, name);
  body.append("output", output);
  return (await request("translate", body)).blob();
}

async function show(figure, model, file, source) {
  const waiting = Object.assign(document.createElement("p"), { className: "waiting", textContent: "translating ..." });
  figure.replaceChildren(waiting);
  try {
    const url = URL.createObjectURL(await translate(model, file, "translation", file.name));
    const caption = document.createElement("figcaption");
    const stem = (file.name || "image").replace(/\.[^.]*$/, "");
    const link = Object.assign(document.createElement("a"), { href: url, download: `${stem}-${model.name}.png`, textContent: "Download" });
    caption.append(model.name, link);
    figure.replaceChildren(slider(source, url), caption);
    if (model.heatmap && element("heatmap").checked) {
      const heat = URL.createObjectURL(await translate(model, file, "heatmap", file.name));
      figure.append(Object.assign(new Image(), { src: heat, alt: "heat map of the attention", className: "heat" }));
    }
  } catch (error) {
    figure.replaceChildren(Object.assign(document.createElement("p"), { className: "error", textContent: `${model.name}: ${error.message}` }));
  }
}

async function add(files) {
  const images = [...files].filter((file) => file.size > 0);
  const models = chosen();
  if (!models.length) return say("choose a model first");
  say("");
  const shown = images.map((file) => {
    const article = document.createElement("article");
    const title = Object.assign(document.createElement("h2"), { textContent: file.name || "pasted image" });
    const runs = Object.assign(document.createElement("div"), { className: "runs" });
    const figures = models.map((model) => [model, document.createElement("figure")]);
    runs.append(...figures.map(([, figure]) => figure));
    article.append(title, runs);
    element("results").prepend(article);
    state.inputs.push(file);
    return [file, figures, URL.createObjectURL(file)];
  });
  element("zip").disabled = false;
  const generation = state.generation;
  for (const [file, figures, source] of shown) {
    if (generation !== state.generation) return;
    await Promise.all(figures.map(([model, figure]) => show(figure, model, file, source)));
  }
}

// Translate all images again, with other options.
function again() {
  const files = state.inputs;
  state.inputs = [];
  state.generation += 1;
  element("results").replaceChildren();
  if (files.length) add(files);
}

async function download() {
  say("");
  element("zip").disabled = true;
  try {
    for (const model of chosen()) {
      const body = fields(model);
      for (const file of state.inputs) body.append("images", file, file.name || "pasted.png");
      const url = URL.createObjectURL(await (await request("translate-many", body)).blob());
      Object.assign(document.createElement("a"), { href: url, download: `${model.name}.zip` }).click();
    }
  } catch (error) {
    say(error.message);
  }
  element("zip").disabled = false;
}

async function camera() {
  try {
    state.camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    return say(`the webcam cannot be used: ${error.message}`);
  }
  say("");
  const video = element("video");
  video.srcObject = state.camera;
  element("live").hidden = false;
  await video.play();
  while (state.camera) {
    const model = chosen()[0], begun = performance.now();
    if (!model) break;
    try {
      const bitmap = await createImageBitmap(await translate(model, await frame(), "translation", "frame.jpg"));
      const preview = element("preview");
      preview.width = bitmap.width;
      preview.height = bitmap.height;
      preview.getContext("2d").drawImage(bitmap, 0, 0);
      element("pace").textContent = `${(1000 / (performance.now() - begun)).toFixed(1)} frames per second`;
    } catch (error) {
      say(error.message);
      break;
    }
  }
  stop();
}

function frame() {
  const video = element("video");
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
}

function stop() {
  state.camera?.getTracks().forEach((track) => track.stop());
  state.camera = null;
  element("live").hidden = true;
}

element("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", element("token").value);
  start();
});
element("options").addEventListener("change", (event) => {
  if (event.target.name === "model") choose();
  again();
});
element("options").addEventListener("submit", (event) => event.preventDefault());
element("files").addEventListener("change", (event) => { add(event.target.files); });
element("zip").addEventListener("click", download);
element("camera").addEventListener("click", camera);
element("stop").addEventListener("click", stop);
element("shot").addEventListener("click", async () => add([new File([await frame()], "webcam.jpg")]));
const drop = element("drop");
drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); add(event.dataTransfer.files); });
addEventListener("paste", (event) => { if (event.clipboardData.files.length) add(event.clipboardData.files); });
start();
