// The live page: which part of it the address names, and the counts at its head.
// Texts come from sensors: they only ever become text nodes.

import * as alert from "./alert.js";
import * as alerts from "./alerts.js";
import { keepConnected } from "./connection.js";
import { $, element, icon, setAttribute, setIcon, setText } from "./dom.js";
import * as health from "./health.js";
import * as machine from "./machine.js";
import { present, sensors, whenChanged } from "./model.js";
import * as overview from "./overview.js";
import * as sensor from "./sensor.js";
import { begin } from "./session.js";
import * as trace from "./trace.js";
import { keepAsking } from "./silences.js";
import { SEVERITIES } from "./words.js";

const VIEWS = { "": overview, alert, alerts, gateway: health, machine, sensor, trace };
const FIRST_STATES = [...SEVERITIES, "stale", "silent", "learning", "ok", "waiting"];

let view = null;
let name = "";
let countsDrawn = "";

// #/sensor/VB-1 -> [sensor, "VB-1"]; #alert=ID, as messages have it, -> the alert among the others.
function route() {
  const named = location.hash.match(/^#alert=(.+)$/);
  if (named) return ["alerts", decoded(named[1])];
  const [first, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  return Object.hasOwn(VIEWS, first) ? [first, ...rest] : [""];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function open() {
  view?.close?.();
  const [first, ...rest] = route();
  const root = $("view");
  root.replaceChildren();
  name = VIEWS[first].title(...rest);
  view = VIEWS[first].open(root, ...rest);
  for (const each of document.querySelectorAll("#views a")) {
    if (each.dataset.view === first) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  view.draw({ changed: new Set(sensors.values()), structure: true, fresh: [] });
  drawTitle();
}

function drawCounts() {
  const { counts, about } = present;
  const words = JSON.stringify([counts, about.gateway]);
  if (!counts || words === countsDrawn) return;
  countsDrawn = words;
  $("fleet").hidden = !about.centre;
  setText($("gateway"), about.gateway);
  const states = [...FIRST_STATES, ...Object.keys(counts).filter((state) => !FIRST_STATES.includes(state) && !["sensors", "alerts"].includes(state))];
  const items = states.filter((state) => counts[state] || state === "ok").map((state) => {
    const item = element("li", { "data-state": state }, element("strong", {}, String(counts[state] ?? 0)), state);
    if (!SEVERITIES.includes(state)) return item;
    item.prepend(icon());
    setIcon(item.firstChild, state);
    return item;
  });
  const all = element("li", {}, element("strong", {}, String(counts.sensors)), counts.sensors === 1 ? "sensor" : "sensors");
  $("counts").replaceChildren(all, ...(counts.sensors ? items : []));
  setText($("alert-count"), counts.alerts ? String(counts.alerts) : "");
  drawTitle();
}

function drawTitle() {
  const { counts, about } = present;
  const part = name && name !== "Overview" ? `${name} · ` : "";
  document.title = `${counts?.alerts ? `(${counts.alerts}) ` : ""}${part}${about.gateway ? `${about.gateway} · ` : ""}Vibration gateway`;
}

window.addEventListener("hashchange", () => {
  open();
  $("view").focus({ preventScroll: true });
  scrollTo(0, 0);
});

$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("view").focus();
});

open();
whenChanged((news) => {
  drawCounts();
  view.draw(news);
});
setAttribute($("view"), "tabindex", "-1");
begin();
keepConnected();
keepAsking();
