// What the pages of `i2i serve` and of its panels share: requests, errors, actions and a before/after slider.

export const element = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function headers() {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// Show an error of the server, or nothing for "".
export function say(text) {
  element("problem").textContent = text;
  element("problem").hidden = !text;
}

// Return the answer, or throw an error with the server's sentence. A full queue is waited for.
export async function request(path, body, tries = 5) {
  const answer = await fetch(path, { method: body ? "POST" : "GET", body, headers: headers() });
  if (answer.ok) return answer;
  if (answer.status === 503 && tries > 1) {
    await sleep(1000 * Number(answer.headers.get("Retry-After") || 2));
    return request(path, body, tries - 1);
  }
  const content = await answer.json().catch(() => ({}));
  const detail = content.detail;
  const error = new Error(typeof detail === "string" ? detail : detail?.[0]?.msg || `the server answered ${answer.status}`);
  error.status = answer.status;
  throw error;
}

// Call an action of the panel. Files, canvases and images in `values` must be PNG data URLs; see `dataURL`.
// Returns the JSON object of the answer, or the address of the image that came.
export async function action(name, values = {}) {
  say("");  // what went wrong before does not concern this action
  try {
    const answer = await request(name, JSON.stringify(values));
    const isObject = answer.headers.get("Content-Type").startsWith("application/json");
    return isObject ? await answer.json() : URL.createObjectURL(await answer.blob());
  } catch (error) {
    say(error.status === 401 ? "this server needs a token; give it on the first page" : error.message);
    throw error;
  }
}

// Return a function that calls `work` with its newest arguments: calls that come while it works replace each other.
export function latest(work) {
  let busy = false, next = null;
  return async (...given) => {
    next = given;
    if (busy) return;
    busy = true;
    try {
      while (next) {
        const now = next;
        next = null;
        await work(...now).catch(() => {});
      }
    } finally {
      busy = false;
    }
  };
}

// Return a file, image or canvas as a PNG data URL, its longer side at most `longest` pixels.
export async function dataURL(source, longest = 2048) {
  const image = source instanceof Blob ? await createImageBitmap(source) : source;
  const width = image.naturalWidth || image.width, height = image.naturalHeight || image.height;
  const scale = Math.min(1, longest / Math.max(width, height));
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const canvas = Object.assign(document.createElement("canvas"), size);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
}

// Return an element that shows one of two images left of a line that can be moved, and the other right of it.
export function slider(before, after) {
  const box = document.createElement("div");
  box.className = "slider";
  box.style.setProperty("--at", "50%");
  const images = [
    Object.assign(new Image(), { src: after, alt: "translation", className: "after" }),
    Object.assign(new Image(), { src: before, alt: "input", className: "before" }),
  ];
  const line = document.createElement("div");
  line.className = "line";
  const range = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 });
  range.setAttribute("aria-label", "Share of the input that is shown");
  range.addEventListener("input", () => box.style.setProperty("--at", `${range.value}%`));
  box.append(...images, line, range);
  return box;
}
