// The whole life of one event.

import { address, element, link } from "./dom.js";
import { capital, whole } from "./words.js";

export function title(id) {
  return id ? `Trace of ${id}` : "Trace";
}

export function open(root, id = "") {
  const input = element("input", { id: "event-id", name: "id", value: id, required: "", autocomplete: "off", spellcheck: "false" });
  const label = element("label", { for: "event-id" }, "Id of a reading, an alert or a message");
  const form = element("form", { class: "ask" }, label, input, element("button", { class: "primary" }, "Trace"));
  const found = element("div", { "aria-live": "polite" });
  root.append(element("h2", {}, "The life of an event"), form, found);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.hash = address(["trace", input.value.trim()]);
  });
  if (id) show(found, id);
  return { draw() {} };
}

async function show(found, id) {
  found.replaceChildren(element("p", { class: "note" }, "Looking…"));
  try {
    const answer = await fetch(`/api/v1/events/${encodeURIComponent(id)}/trace`);
    const body = await answer.json();
    found.replaceChildren(...(answer.ok ? life(body) : [element("p", { class: "note" }, `${capital(String(body.detail))}.`)]));
  } catch {
    found.replaceChildren(element("p", { class: "note" }, "The gateway does not answer."));
  }
}

function life({ eventId, kind, sensorId, traceparent, steps }) {
  const facts = [["Event", eventId], ["Kind", kind], ["Sensor", sensorId && link(["sensor", sensorId], sensorId)], ["Trace parent", traceparent]];
  const list = facts.filter(([, value]) => value).map(([name, value]) => element("div", { class: "fact" }, element("dt", {}, name), element("dd", {}, value)));
  return [element("dl", { class: "facts" }, ...list), element("ol", { class: "life" }, ...steps.map(step))];
}

function step({ step: name, at, what }) {
  const time = at ? element("time", { datetime: at }, whole(at)) : "";
  return element("li", { "data-step": name }, element("strong", {}, name === "influxdb" ? "InfluxDB" : capital(name)), time, element("p", {}, what));
}
