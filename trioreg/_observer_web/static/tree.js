// Zoom and pan of the tree. The server lays it out; here only its size changes, and the canvas scrolls. So the arrow
// keys, a touch screen and a scroll bar pan as they do everywhere.

const LEAST = 0.1;
const MOST = 3;
const STEP = 1.25;
const KEY = "trioreg-observer-tree";

const live = document.getElementById("live");
let zoom = 1;

const canvas = () => document.getElementById("canvas");
const picture = () => document.getElementById("picture");

/** The size of the picture, as the zoom says. It is written only if it differs. */
function resize() {
  const svg = picture();
  if (!svg) return;
  const { width, height } = svg.viewBox.baseVal;
  for (const [name, size] of [["width", width], ["height", height]]) {
    const text = (size * zoom).toFixed(1);
    if (svg.getAttribute(name) !== text) svg.setAttribute(name, text);
  }
  document.getElementById("zoom").hidden = false;
  const text = `${Math.round(zoom * 100)} %`;
  const now = document.getElementById("zoom-now");
  if (now.textContent !== text) now.textContent = text;
}

/** Zoom, and keep what is at this place of the canvas where it is. */
function zoomTo(next, x, y) {
  const box = canvas();
  if (!box) return;
  x ??= box.clientWidth / 2;
  y ??= box.clientHeight / 2;
  next = Math.min(MOST, Math.max(LEAST, next));
  const left = (box.scrollLeft + x) / zoom;
  const top = (box.scrollTop + y) / zoom;
  zoom = next;
  resize();
  box.scrollTo(left * zoom - x, top * zoom - y);
}

function fit() {
  const box = canvas();
  const svg = picture();
  if (!box || !svg) return;
  const { width, height } = svg.viewBox.baseVal;
  const most = parseFloat(getComputedStyle(box).maxHeight) || box.clientHeight;
  zoomTo(Math.min(1, (box.clientWidth - 2) / width, (most - 4) / height));
}

const ways = { in: () => zoomTo(zoom * STEP), out: () => zoomTo(zoom / STEP), one: () => zoomTo(1), fit };
const keys = { "+": "in", "=": "in", "-": "out", 0: "one", f: "fit" };

live.addEventListener("click", (event) => ways[event.target.closest("[data-zoom]")?.dataset.zoom]?.());

live.addEventListener("keydown", (event) => {
  if (!event.target.closest("#canvas") || event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
  event.preventDefault();
  ways[keys[event.key]]();
});

// A pinch on a touch pad comes as a wheel with ctrl.
live.addEventListener(
  "wheel",
  (event) => {
    const box = event.target.closest("#canvas");
    if (!box || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    const place = box.getBoundingClientRect();
    const turn = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
    zoomTo(zoom * Math.exp(-Math.max(-100, Math.min(100, turn)) / 200), event.clientX - place.left, event.clientY - place.top);
  },
  { passive: false },
);

// Drag with a mouse, pinch with two fingers. One finger scrolls without help.

const held = new Map();
let spread = 0;
let moved = 0;

live.addEventListener("pointerdown", (event) => {
  if (!event.target.closest("#canvas") || event.button) return;
  held.set(event.pointerId, event);
  moved = spread = 0;
});

window.addEventListener("pointermove", (event) => {
  const last = held.get(event.pointerId);
  const box = canvas();
  if (!last || !box) return;
  held.set(event.pointerId, event);
  if (held.size === 2) {
    const [a, b] = [...held.values()];
    const now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    const place = box.getBoundingClientRect();
    if (spread) zoomTo((zoom * now) / spread, (a.clientX + b.clientX) / 2 - place.left, (a.clientY + b.clientY) / 2 - place.top);
    spread = now;
  } else if (event.pointerType === "mouse") {
    moved += Math.abs(event.clientX - last.clientX) + Math.abs(event.clientY - last.clientY);
    if (moved < 4) return;
    box.classList.add("is-held");
    box.scrollBy(last.clientX - event.clientX, last.clientY - event.clientY);
  }
});

for (const name of ["pointerup", "pointercancel"]) {
  window.addEventListener(name, (event) => {
    held.delete(event.pointerId);
    canvas()?.classList.remove("is-held");
  });
}

// The end of a drag is no click, and a link is not dragged away.
live.addEventListener("click", (event) => moved >= 4 && event.target.closest("#canvas") && (event.preventDefault(), event.stopPropagation(), (moved = 0)), true);
live.addEventListener("dragstart", (event) => event.target.closest("#canvas") && event.preventDefault());

// Picture or list: remembered

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

const small = window.matchMedia("(max-width: 40rem)");
document.getElementById(`as-${remembered() ?? (small.matches ? "list" : "picture")}`)?.click();
live.addEventListener("change", (event) => {
  if (event.target.name !== "as") return;
  try {
    localStorage.setItem(KEY, event.target.id.slice(3));
  } catch {
    // it holds for this page only
  }
});

live.addEventListener("looked", resize);
resize();

// The top of a deep tree may be below the canvas: begin there.
const first = document.querySelector("#picture .node");
if (first) {
  const { clientHeight } = canvas();
  const middle = first.transform.baseVal.getItem(0).matrix.f + 28;
  if (middle > clientHeight - 56) canvas().scrollTop = middle - clientHeight / 2;
}
