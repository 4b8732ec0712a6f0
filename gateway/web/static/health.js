// The gateway itself: broker, consumers, handlers, dead letters, disk.

import { AlertList } from "./alerts.js";
import { element, table } from "./dom.js";
import { Heard } from "./heard.js";
import { list } from "./silences.js";
import { bytes, capital, count } from "./words.js";

const EVERY_MS = 5000;
const BEHIND = 10_000; // so many entries are no longer a matter of a moment

export function title() {
  return "Gateway";
}

export function open(root) {
  const alerts = new AlertList({ heading: "Alerts about the gateway", wanted: (alert) => alert.kind === "gateway", more: false, none: "None." });
  const parts = element("div", { class: "tiles" }, element("p", { class: "note" }, "Loading…"));
  const tables = element("div", {});
  const heard = new Heard();
  root.append(alerts.node, element("section", {}, element("h2", {}, "Health"), parts), heard.node, tables);
  heard.open();
  let timer = 0;
  let isOpen = true;
  async function look() {
    try {
      const [condition, inputs] = await Promise.all(["gateway", "inputs"].map(async (name) => (await fetch(`/api/v1/${name}`)).json()));
      if (!isOpen) return;
      parts.replaceChildren(...tiles(condition));
      tables.replaceChildren(...sections(condition), ...inputSection(inputs));
    } catch {
      parts.replaceChildren(element("p", { class: "note" }, "The gateway does not answer."));
    }
    if (isOpen) timer = setTimeout(look, EVERY_MS);
  }
  look();
  return {
    draw: ({ fresh }) => alerts.draw(fresh),
    close() {
      isOpen = false;
      heard.close();
      clearTimeout(timer);
    },
  };
}

function tile(name, isWell, value, more) {
  const state = isWell ? "ok" : "warning";
  return element("div", { class: "tile", "data-state": state }, element("h3", {}, name), element("strong", {}, value), element("p", {}, more));
}

function tiles({ broker, influxdb, lastEntry, consumers, handlers, deadLetters, disk, reasons }) {
  const influx = consumers.find(({ name }) => name === "influx");
  const failed = handlers.reduce((sum, { messages }) => sum + (messages.failed ?? 0), 0);
  const waiting = handlers.reduce((sum, { messages }) => sum + (messages.pending ?? 0) + (messages.uncertain ?? 0), 0);
  const letters = Object.values(deadLetters).reduce((sum, each) => sum + each, 0);
  const room = disk.free > 3 * disk.reserve;
  return [
    tile("Ready", !reasons.length, reasons.length ? "no" : "yes", reasons.join("; ") || "readings come in and are stored"),
    tile("Broker", broker.connected, broker.connected ? "connected" : "away", broker.problems.join("; ") || "connected and subscribed"),
    influxdb ? influxTile(influx ?? { at: 0, behind: lastEntry }) : tile("InfluxDB", true, "none", "the journal keeps the history"),
    tile("Messages", !failed, failed ? `${failed} failed` : "none failed", `${waiting} waiting to be sent`),
    tile("Dead letters", !letters, String(letters), letters ? "messages that could not be used" : "everything could be used"),
    tile("Journal", disk.journal < 0.9 * disk.journalLimit, bytes(disk.journal), `of ${bytes(disk.journalLimit)} that it may become`),
    tile("Disk", room, `${bytes(disk.free)} free`, `the last ${bytes(disk.reserve)} are never taken`),
  ];
}

function influxTile(consumer) {
  const entries = count(consumer.behind, "entry").replace("entrys", "entries");
  const isWell = consumer.behind < BEHIND && !isUnreached(consumer);
  return tile("InfluxDB", isWell, entries, isUnreached(consumer) ? "behind the journal: it has not been reached yet" : "behind the journal");
}

function isUnreached({ at, behind }) {
  return at === 0 && behind > 0;
}

function sections({ handlers, consumers, deadLetters, overQuota }) {
  const sums = [["sent", "sent"], ["waiting", "pending", "sending"], ["uncertain", "uncertain"], ["failed", "failed"]];
  const row = (name, ...cells) => element("tr", {}, element("th", { scope: "row" }, name), ...cells.map((text) => element("td", {}, text)));
  const told = handlers.map(({ name, type, messages }) => row(name, ...sums.map(([, ...states]) => String(states.reduce((sum, state) => sum + (messages[state] ?? 0), 0))), type));
  const followers = consumers.filter(({ name }) => !name.startsWith("rollups_")); // they wait for their minute, or hour, to end
  const behind = followers.map((each) => row(each.name, `${each.behind}${isUnreached(each) ? ", not reached yet" : ""}`));
  const [refused, over] = [deadLetters, overQuota].map((counts) => Object.entries(counts).map(([reason, amount]) => row(reason, String(amount))));
  return [
    element("section", {}, element("h2", {}, "Silences"), list()),
    section("Handlers", ["Handler", ...sums.map(([state]) => capital(state)), "Type"], told, "None are configured: nobody is told anything."),
    section("Consumers of the journal", ["Consumer", "Entries behind"], behind, "None has run yet."),
    section("Dead letters", ["Reason", "Messages"], refused, "None."),
    ...(over.length ? [section("Over a quota", ["Quota", "Refused or not kept"], over, "")] : []),
  ];
}

function inputSection(inputs) {
  if (!inputs.length) return [];
  const row = ({ name, messages, ignored }) => element("tr", {}, element("th", { scope: "row" }, name), ...[messages, ignored].map((each) => element("td", {}, String(each))));
  const told = inputs.flatMap(({ name, unused, remarks }) => [
    ...Object.entries(remarks).map(([text, times]) => `${name}: ${text} (${times} ×)`),
    ...(unused.length ? [`${name}: numbers that no field uses: ${unused.join(", ")}`] : []),
  ]);
  const whole = section("Inputs, since the start", ["Input", "Read", "Left out"], inputs.map(row), "");
  whole.append(...told.map((text) => element("p", { class: "note" }, text)));
  return [whole];
}

function section(name, heads, rows, none) {
  const shown = rows.length ? table({ class: "plain counted" }, heads, element("tbody", {}, ...rows)) : element("p", { class: "note" }, none);
  return element("section", {}, element("h2", {}, name), shown);
}
