// A brush for colour hints: dabs on a drawing, which the server colours after each change.
import { action, dataURL, element, latest, say } from "../../../panel.js";

const LONGEST = 1024; // side of the drawing that is sent, in pixels
const board = element("board"), result = element("result");
let lines = null; // the drawing as a data URL, and as an image
let drawn = null;
let dabs = []; // {x, y, radius, color, stroke}: what the server gets, and the stroke that undo removes
let stroke = 0;

function redraw() {
  const context = board.getContext("2d");
  // A transparent drawing would leave removed hints in place.
  context.fillStyle = "white";
  context.fillRect(0, 0, board.width, board.height);
  context.drawImage(drawn, 0, 0);
  for (const { x, y, radius, color } of dabs) {
    context.fillStyle = color;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }
  element("undo").disabled = element("clear").disabled = !dabs.length;
  const strokes = new Set(dabs.map((dab) => dab.stroke)).size;
  element("count").textContent = `${strokes} ${strokes === 1 ? "hint" : "hints"}`;
}

const colour = latest(async () => {
  const sent = dabs.map(({ x, y, radius, color }) => ({ x, y, radius, color }));
  element("state").textContent = "Colouring …";
  try {
    const answer = await action("colour", { lines, dabs: sent, keep_lines: element("keep").checked });
    result.src = answer.image;
    element("save").href = answer.image;
    result.hidden = element("save").hidden = false;
    element("state").textContent = "Coloured drawing";
  } catch (error) {
    element("state").textContent = "";
    throw error;
  }
});

function change(next) {
  dabs = next;
  redraw();
  colour();
}

// Place of a pointer in pixels of the drawing.
function place(event) {
  const box = board.getBoundingClientRect();
  return { x: ((event.clientX - box.left) / box.width) * board.width, y: ((event.clientY - box.top) / box.height) * board.height };
}

function dab(event) {
  const radius = Math.max(0.5, (element("radius").value / 100) * Math.min(board.width, board.height));
  const last = dabs.at(-1), at = place(event);
  if (last && last.stroke === stroke && Math.hypot(at.x - last.x, at.y - last.y) < radius / 2) return;
  dabs.push({ ...at, radius, color: element("color").value, stroke });
  redraw();
}

board.addEventListener("pointerdown", (event) => {
  if (!drawn || event.button) return;
  board.setPointerCapture(event.pointerId);
  stroke += 1;
  dab(event);
  colour();
});
board.addEventListener("pointermove", (event) => {
  if (!drawn || !board.hasPointerCapture(event.pointerId)) return;
  dab(event);
  colour();
});

async function load() {
  const file = element("file").files[0];
  if (!file) return;
  try {
    lines = await dataURL(file, LONGEST);
  } catch {
    say("this file is not an image that the browser can read");
    return;
  }
  try {
    if (element("extract").checked) lines = (await action("lines", { image: lines })).image;
  } catch {
    return; // `action` has shown the reason
  }
  drawn = Object.assign(new Image(), { src: lines });
  await drawn.decode();
  board.width = drawn.naturalWidth;
  board.height = drawn.naturalHeight;
  change([]);
}

element("file").addEventListener("change", load);
element("extract").addEventListener("change", load);
element("keep").addEventListener("change", () => drawn && colour());
element("tools").addEventListener("submit", (event) => event.preventDefault());
element("clear").addEventListener("click", () => change([]));
const undo = () => dabs.length && change(dabs.filter((one) => one.stroke !== dabs.at(-1).stroke));
element("undo").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z") undo();
});
