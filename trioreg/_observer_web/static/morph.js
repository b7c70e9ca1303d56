// Make one part of a page equal to another, and keep each element that is in both.
//
// Children are matched by `id`, `data-key` or their heading, else by their order. The person who looks has the last word:
// - what is typed into a field that has the focus stays, and so does each choice that was made by hand
// - `open` of <details> stays
// - data-keep="a b" keeps these attributes as they are; an empty data-keep keeps the whole content

/** Make the children of `from` equal to those of `to`. Elements of `to` are moved, so do not use it afterwards. */
export function morph(from, to) {
  const focused = document.activeElement;
  children(from, to);
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function children(from, to) {
  const keyed = keysOf(from);
  const wanted = keyed.size ? keysOf(to) : keyed;
  let here = from.firstChild;
  for (let next = to.firstChild; next; ) {
    const after = next.nextSibling;
    while (here && here.nodeType !== 1 && next.nodeType === 1) here = without(here); // spaces between elements
    const match = matchOf(next, here, keyed);
    if (!match) {
      from.insertBefore(next, here);
    } else {
      // An element that is moved loses much of what the person did with it. So first what goes is taken out of its way.
      while (here !== match && (here.nodeType !== 1 || (keyOf(here) && !wanted.has(keyOf(here))))) here = without(here);
      if (match === here) here = here.nextSibling;
      else move(from, match, here);
      update(match, next);
    }
    next = after;
  }
  while (here) here = without(here);
}

function keysOf(parent) {
  const keys = new Map();
  for (let child = parent.firstElementChild; child; child = child.nextElementSibling) {
    const key = keyOf(child);
    if (key) keys.set(key, child);
  }
  return keys;
}

function without(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function move(parent, node, before) {
  if (parent.moveBefore) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

function keyOf(node) {
  return node.nodeType === 1 ? node.id || node.dataset.key || node.getAttribute("aria-labelledby") || "" : "";
}

function matchOf(next, here, keyed) {
  const key = keyOf(next);
  if (key) {
    const match = keyed.get(key);
    keyed.delete(key); // a key that is there twice is matched once
    return match?.nodeName === next.nodeName ? match : null;
  }
  return here && here.nodeName === next.nodeName && !keyOf(here) ? here : null;
}

function update(from, to) {
  if (from.nodeType !== 1) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  if (keyOf(to) && from.isEqualNode(to)) return; // most rows and boxes: the browser compares faster than a script
  const keep = from.dataset.keep?.split(" ") ?? [];
  if (from.nodeName === "DETAILS") keep.push("open");
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !keep.includes(name)) set(from, name, value);
  }
  if (from.attributes.length > to.attributes.length) {
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name) && !keep.includes(name)) from.removeAttribute(name);
    }
  }
  if (from.dataset.keep !== "") children(from, to);
}

function set(element, name, value) {
  element.setAttribute(name, value);
  if (name === "value" && element.nodeName === "INPUT" && element !== document.activeElement) element.value = value;
}
