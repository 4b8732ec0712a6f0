// The event stream: noticed when it is lost, and begun anew.

import { $, setAttribute, setText } from "./dom.js";
import { present, take } from "./model.js";
import { moment } from "./words.js";

const SILENCE_MS = 40_000; // the gateway says something every 15 s
const CHECK_MS = 10_000;

let source = null;

function show(state, text) {
  setAttribute($("connection"), "data-connection", state);
  setText($("connection"), text);
  $("stale").hidden = state === "live" || !present.counts;
}

function lost() {
  show("lost", "reconnecting…");
  setText($("stale"), `No contact with the gateway: what you see is as of ${moment(present.heardAt)}.`);
}

function heard() {
  present.heardAt = Date.now();
  show("live", "live");
}

function connect() {
  source?.close();
  source = new EventSource("/api/v1/stream");
  for (const name of ["snapshot", "update"]) {
    source.addEventListener(name, (event) => {
      heard();
      take(JSON.parse(event.data), name === "snapshot");
    });
  }
  source.addEventListener("ping", heard);
  source.addEventListener("error", lost);
}

export function keepConnected() {
  connect();
  setInterval(() => {
    const silent = Date.now() - present.heardAt > SILENCE_MS;
    if (silent) lost();
    if (silent || source.readyState === EventSource.CLOSED) connect();
  }, CHECK_MS);
}
