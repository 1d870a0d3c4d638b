// Bringing one part of the page to what a fetched page shows of it, by changing only what differs: elements that stay
// keep their focus, scroll and state.

// What tells siblings apart, so that a new one at the top does not turn every other one into its neighbor.
function keyOf(node) {
  if (!(node instanceof Element)) return null;
  if (node.id) return `#${node.id}`;
  if (node.dataset.row) return `row ${node.dataset.row}`;
  const own = node.getAttribute("href") ?? node.getAttribute("action");
  if (own) return `${node.nodeName} ${own}`;
  // A row is told by its link; a list is not, whose first row may change.
  const inside = node.matches("li, tr, article, option") && node.querySelector("a[href], form[action]");
  return inside ? `${node.nodeName} ${inside.getAttribute("href") ?? inside.getAttribute("action")}` : null;
}

function keyed(nodes) {
  const found = new Map();
  const doubled = new Set();
  for (const node of nodes) {
    const key = keyOf(node);
    if (key === null) continue;
    if (found.has(key)) doubled.add(key);
    found.set(key, node);
  }
  for (const key of doubled) found.delete(key);
  return found;
}

const isKept = (node) => node instanceof Element && node.hasAttribute("data-live-keep");

function sameKind(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && one.type === other.type;
}

function patchAttributes(here, there) {
  for (const { name } of [...here.attributes]) {
    // Whether details are open, and what scripts noted, is the person's; a box that was ticked is, too.
    const isState = name === "open" || name === "data-sent" || name === "aria-keyshortcuts";
    if (!there.hasAttribute(name) && !isState) here.removeAttribute(name);
  }
  for (const { name, value } of there.attributes) {
    const isState = name === "open";
    if (here.getAttribute(name) !== value && !isState) here.setAttribute(name, value);
  }
}

function patchField(here, there) {
  if (here instanceof HTMLInputElement && here.value !== there.value) {
    if (here.type === "hidden") here.value = there.value;
    else if (here !== document.activeElement && here.type !== "checkbox" && here.type !== "radio") here.value = there.value;
  }
  if (here instanceof HTMLTextAreaElement && here !== document.activeElement) here.value = there.value;
}

function patchChildren(here, there) {
  const mine = keyed(here.childNodes);
  const theirs = keyed(there.childNodes);
  for (const [key, node] of mine) {
    if (!theirs.has(key) && !isKept(node)) node.remove();
  }
  let at = here.firstChild;
  for (const wanted of [...there.childNodes]) {
    const key = keyOf(wanted);
    const same = key !== null && theirs.has(key) ? mine.get(key) : null;
    if (same && same.parentNode === here && sameKind(same, wanted)) {
      // Space between elements is cheaper to lose than an element's place, which takes its focus away.
      while (at && at !== same && at.nodeType !== Node.ELEMENT_NODE) at = removed(at);
      if (same === at) at = at.nextSibling;
      else here.insertBefore(same, at);
      patch(same, wanted);
      continue;
    }
    // One that waits for its own partner further down, or that no fetched page knows, is no partner for another.
    while (isKept(at)) at = at.nextSibling;
    const isFree = at && !(keyOf(at) !== null && mine.has(keyOf(at))) && key === null && sameKind(at, wanted);
    if (isFree) {
      const next = at.nextSibling;
      patch(at, wanted);
      at = next;
    } else {
      here.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) at = isKept(at) ? at.nextSibling : removed(at);
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

export function patch(here, there) {
  if (isKept(here)) return;
  if (here.nodeType !== Node.ELEMENT_NODE) {
    if (here.nodeValue !== there.nodeValue) here.nodeValue = there.nodeValue;
    return;
  }
  patchField(here, there);
  patchAttributes(here, there);
  if (!(here instanceof HTMLTextAreaElement)) patchChildren(here, there);
}
