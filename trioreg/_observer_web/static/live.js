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
  ended: "The program has ended",
  gone: "It is gone. This is the last look",
  stranger: "Open the address with the token again",
};

let source = null;
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

// The stream

function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function open() {
  close();
  if (hasEnded) return;
  if (isPaused || document.hidden) {
    if (isPaused) tell("paused");
    return;
  }
  const mine = new EventSource(`${base}/live/${page}${location.search}`);
  source = mine;
  mine.addEventListener("look", (event) => {
    if (source !== mine) return;
    failures = 0;
    tell("live");
    show(JSON.parse(event.data).html);
  });
  mine.addEventListener("end", () => {
    hasEnded = true;
    close();
    tell("ended");
    pause.hidden = true;
  });
  mine.addEventListener("error", () => {
    if (source !== mine) return;
    close(); // the browser would try again by itself, but not after an answer such as 503
    tell("lost");
    retry = setTimeout(again, RETRY[Math.min(failures++, RETRY.length - 1)]);
  });
}

// A stream does not say why it fails, so the page is asked.
async function again() {
  const mine = asked;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
  if (mine !== asked || source) return;
  if (answer?.status === 404) tell("gone");
  else if (answer?.status === 401) tell("stranger");
  else if (answer?.ok) open();
  else retry = setTimeout(again, RETRY[Math.min(failures++, RETRY.length - 1)]);
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
