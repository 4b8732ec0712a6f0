// Building and placing elements. Texts only ever become text nodes.

const SVG = "http://www.w3.org/2000/svg";

export const $ = (id) => document.getElementById(id);

export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export function shape(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// A link to a part of this page: ["sensor", "VB-1"] is #/sensor/VB-1.
export function address(parts) {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function link(parts, ...children) {
  return element("a", { href: address(parts) }, ...children);
}

export function table(attributes, heads, body) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  return element("div", { class: "wide" }, element("table", attributes, element("thead", {}, head), body));
}

export function icon() {
  return shape("svg", { class: "icon", "aria-hidden": "true" }, shape("use"));
}

export function setIcon(node, name) {
  const known = document.getElementById(`icon-${name}`) ? name : "waiting";
  setAttribute(node.firstChild, "href", `#icon-${known}`);
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// Makes `nodes` the children of `parent` from the child `first` on, and moves only what is not in its place.
export function place(parent, nodes, first = 0) {
  nodes.forEach((node, index) => {
    const there = parent.children[first + index] ?? null;
    if (there !== node) parent.insertBefore(node, there);
  });
  while (parent.children.length > first + nodes.length) parent.lastElementChild.remove();
}
