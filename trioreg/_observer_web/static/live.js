// A page that lives. The server sends the whole fragment of the page; what differs is changed in place, so focus,
// selection, open details, scroll positions and half-typed text stay as they are.
//
// Without this script the pages work as plain links and forms.

import { morph } from "./morph.js";

const TYPING = 250; // milliseconds without a key before a form is sent
const RETRY = [1000, 2000, 5000]; // milliseconds before a lost stream is opened again

const { base, page } = document.body.dataset;
const live = document.getElementById("live");
const status = document.getElementById("status");
const pause = document.getElementById("pause");
const says = document.getElementById("says"); // for screen readers only

const WORDS = {
  opening: "Connecting",
  live: "Live",
  paused: "Paused",
  lost: "Connection lost, trying again",
  full: "Too many live pages are open, trying again",
  failed: "This page failed, trying again. The log says why",
  ended: "The program has ended",
  gone: "It is gone. This is the last look",
  stranger: "Open the address that the program has printed last",
};

let stream = null; // of the stream that is open: it ends it
let retry = 0; // the timer
let failures = 0;
let isPaused = false;
let hasEnded = false;
let asked = 0; // counts navigations: an answer that comes late is not shown

function tell(state) {
  if (document.body.dataset.stream === state) return;
  document.body.dataset.stream = state;
  status.textContent = WORDS[state];
}

function show(html) {
  const next = document.createElement("template");
  next.innerHTML = html;
  morph(live, next.content);
  live.dispatchEvent(new CustomEvent("looked"));
}

// The stream. An EventSource would not say why one is refused, nor try again after that.

function close() {
  clearTimeout(retry);
  stream?.abort();
  stream = null;
}

async function open() {
  close();
  if (isPaused || document.hidden) {
    if (isPaused) tell("paused");
    return;
  }
  const mine = (stream = new AbortController());
  const answer = await fetch(`${base}/live/${page}${location.search}`, { signal: mine.signal }).catch(() => null);
  if (answer?.ok) await take(answer.body.pipeThrough(new TextDecoderStream()).getReader(), mine);
  if (stream !== mine) return;
  close();
  if (answer?.status === 404) return tell("gone");
  if (answer?.status === 401) return tell("stranger");
  if (!hasEnded) tell({ 500: "failed", 503: "full" }[answer?.status] ?? "lost");
  retry = setTimeout(open, RETRY[Math.min(failures++, RETRY.length - 1)]);
}

// Each event is "event: NAME", "data: JSON" and an empty line. A line that begins with a colon is a sign of life.
async function take(reader, mine) {
  let rest = "";
  for (;;) {
    const { value } = await reader.read().catch(() => ({}));
    if (stream !== mine || value === undefined) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const [, name, data] = event.match(/^event: (.*)\ndata: (.*)/) ?? [];
      if (name === "look") {
        failures = 0;
        end(false);
        show(JSON.parse(data).html);
      } else if (name === "end") {
        failures = RETRY.length; // another program may take its place
        end(true);
      }
    }
  }
}

function end(is) {
  hasEnded = is;
  tell(is ? "ended" : "live");
  pause.hidden = is;
}

pause.hidden = false;
pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.textContent = isPaused ? "Go on" : "Pause";
  open();
});
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", (event) => event.persisted && open());

// To another view of the same page, without a full load: filter, sort, page, fold

async function go(url, { replace = false, announce = false } = {}) {
  const mine = ++asked;
  history[replace ? "replaceState" : "pushState"](null, "", url);
  await view(mine, announce);
}

async function view(mine, announce = false) {
  close();
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const text = await answer.text();
    if (mine !== asked) return;
    const next = new DOMParser().parseFromString(text, "text/html");
    if (!answer.ok) return location.reload(); // the error is shown as a page
    document.title = next.title;
    morph(live, next.getElementById("live"));
    live.dispatchEvent(new CustomEvent("looked"));
    if (announce) says.textContent = document.getElementById("found")?.textContent ?? "";
  } catch {
    if (mine !== asked) return;
    tell("lost");
  }
  open();
}

// Another actor or another table is another page, though its path is the same.
function isHere(url) {
  const now = new URLSearchParams(location.search);
  const isSame = ["number", "id"].every((name) => url.searchParams.get(name) === now.get(name));
  return url.origin === location.origin && url.pathname === location.pathname && !url.hash && isSame;
}

live.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href.baseVal ?? link.href, location.href); // the link of an SVG has its address elsewhere
  if (!isHere(url) || hasEnded) return;
  event.preventDefault();
  go(url);
});

window.addEventListener("popstate", () => view(++asked));

function addressOf(form) {
  const url = new URL(form.action, location.href);
  const texts = [...new FormData(form)].filter(([, text]) => text !== "");
  url.search = new URLSearchParams(texts);
  return url;
}

let typing = 0;

function send(form) {
  clearTimeout(typing);
  const url = addressOf(form);
  if (url.search !== location.search) go(url, { replace: true, announce: true });
}

live.addEventListener("input", (event) => {
  const form = event.target.closest("form.filter");
  if (!form || event.isComposing || hasEnded) return;
  clearTimeout(typing);
  typing = setTimeout(send, event.target.tagName === "SELECT" ? 0 : TYPING, form);
});
live.addEventListener("submit", (event) => {
  if (!event.target.matches("form.filter") || hasEnded) return;
  event.preventDefault();
  send(event.target);
});

document.body.dataset.script = "";
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
tell(document.hidden ? "paused" : "opening");
open();
for (const field of live.querySelectorAll("form.filter input")) {
  if (field.value !== field.defaultValue) send(field.form); // typed before this script was there
}
