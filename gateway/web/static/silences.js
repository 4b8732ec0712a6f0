// The silences that hold or will, and the open alerts that they mute.

import { element } from "./dom.js";
import { present, takeSilences } from "./model.js";
import { moment } from "./words.js";

const EVERY_MS = 5000;

export async function keepAsking() {
  try {
    const answer = await fetch("/api/v1/silences");
    if (answer.ok) takeSilences(await answer.json());
  } catch {
    // the connection's own state is shown already
  }
  setTimeout(keepAsking, EVERY_MS);
}

export function inWords({ owner, reason, until }) {
  return `silenced by ${owner}${until ? ` until ${moment(until)}` : ""}: ${reason}`;
}

export function list() {
  const known = present.silences;
  if (!known.length) return element("p", { class: "note" }, "None: people are told of everything that the routes name.");
  return element("ul", { class: "silences" }, ...known.map(item));
}

function item(silence) {
  const { state, recurring, startsAt, owner, reason, mutes } = silence;
  const begins = recurring ? "in its hours" : `from ${moment(startsAt)} on`;
  const words = state === "active" ? inWords(silence) : `not now, but ${begins}, by ${owner}: ${reason}`;
  const muted = mutes.length ? ` Open alerts that nobody is told of: ${mutes.length}.` : "";
  return element("li", { "data-state": state }, element("strong", {}, what(silence)), element("p", {}, `${words}.${muted}`));
}

function what(silence) {
  const lists = Object.entries(silence).filter(([name, values]) => name !== "mutes" && Array.isArray(values) && values.length);
  const tags = Object.entries(silence.tags).map(([name, values]) => `${name} ${values.join(", ")}`);
  const names = [...lists.map(([name, values]) => `${name.slice(0, -1)} ${values.join(", ")}`), ...tags];
  return `${names.join(", ")}${silence.severity === "warning" ? " (warnings only)" : ""}`;
}
