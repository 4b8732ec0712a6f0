// Open alerts as a list, with what can be done about each; and all there ever were, as a table.

import { $, address, element, icon, link, place, setAttribute, setIcon, setText, table } from "./dom.js";
import { acknowledge, shelve, unshelve } from "./asking.js";
import { isOfSensor, present } from "./model.js";
import { cell } from "./row.js";
import { inWords } from "./silences.js";
import { capital, lasting, moment, where, whole } from "./words.js";

const MOST_CLOSED = 200;

export function subjectOf(alert) {
  return isOfSensor(alert) ? link(["sensor", alert.sensorId], alert.sensorId) : alert.sensorId;
}

export class AlertList {
  // `wanted` chooses among the open alerts; `more` says whether those that are not listed are counted, `most` how many are.
  constructor({ heading, wanted = () => true, more = true, most = Infinity, none = "No open alerts." }) {
    this.wanted = wanted;
    this.most = most;
    this.rest = element("span");
    this.items = new Map(); // id -> parts
    this.list = element("ol", { class: "alerts", "aria-label": heading });
    this.none = element("p", { class: "note no-alerts", hidden: "" }, none);
    this.more = element("p", { class: "note more-alerts", hidden: "" }, this.rest, " ", link(["alerts"], "All alerts"));
    this.countsMore = more;
    this.node = element("section", {}, element("h2", {}, heading), this.list, this.none, this.more);
  }

  draw(fresh = []) {
    if (fresh.length) announce(fresh.filter(this.wanted));
    const alerts = present.alerts.filter(this.wanted).slice(0, this.most);
    const ids = new Set(alerts.map((alert) => alert.id));
    for (const id of this.items.keys()) if (!ids.has(id)) this.items.delete(id);
    place(this.list, alerts.map((alert) => this.item(alert)));
    const total = this.countsMore ? (present.counts?.alerts ?? 0) : alerts.length;
    this.none.hidden = total > 0 || !present.counts;
    this.more.hidden = total <= alerts.length;
    setText(this.rest, `and ${total - alerts.length} more.`);
  }

  item(alert) {
    if (!this.items.has(alert.id)) this.items.set(alert.id, createItem(alert));
    const parts = this.items.get(alert.id);
    if (parts.alert !== alert) drawItem(parts, alert);
    drawNotes(parts, alert);
    setText(parts.lasting, lasting(Date.now() - new Date(alert.openedAt)));
    return parts.item;
  }
}

function announce(alerts) {
  const words = alerts.slice(0, 3).map((alert) => `${alert.severity} alert, ${alert.sensorId}: ${alert.reason}`);
  if (words.length) $("announcement").textContent = words.join(". ");
}

function createItem(alert) {
  const parts = {
    icon: icon(),
    word: element("span", { class: "word" }),
    machine: element("span", { class: "machine" }),
    sensor: element("span", { class: "of" }),
    place: element("span", { class: "place" }),
    reason: element("span", { class: "reason" }),
    notes: element("span", { class: "notes" }),
    lasting: element("span", { class: "lasting" }),
    opened: element("span", { class: "opened" }),
    time: element("time"),
    buttons: element("span", { class: "buttons" }),
  };
  const what = element("span", { class: "what" }, parts.machine, parts.sensor, parts.place);
  parts.time.append(parts.lasting, parts.opened);
  const why = element("span", { class: "why" }, parts.reason, parts.notes);
  parts.item = element("li", { class: "alert", id: `alert-${alert.id}`, tabindex: "-1" }, parts.icon, parts.word, what, why, parts.time, parts.buttons);
  return parts;
}

function drawItem(parts, alert) {
  parts.alert = alert;
  const path = where(alert.tags);
  setAttribute(parts.item, "data-severity", alert.severity);
  setAttribute(parts.item, "data-alert-state", alert.state);
  setIcon(parts.icon, alert.severity);
  setText(parts.word, capital(alert.severity));
  setText(parts.machine, path.pop() ?? (alert.location || capital(alert.kind)));
  setText(parts.place, path.join(" › "));
  parts.sensor.replaceChildren(subjectOf(alert));
  setText(parts.reason, alert.reason);
  setAttribute(parts.time, "datetime", alert.openedAt);
  setText(parts.opened, `since ${moment(alert.openedAt)}`);
  parts.buttons.replaceChildren(...buttons(alert));
}

function drawNotes(parts, alert) {
  parts.item.toggleAttribute("data-quiet", alert.acknowledged || isShelved(alert) || present.muted.has(alert.id));
  setText(parts.notes, notes(alert));
}

function isShelved(alert) {
  return Boolean(alert.shelvedUntil) && new Date(alert.shelvedUntil) > new Date();
}

function notes(alert) {
  return [
    alert.state === "stale" && "no reading since: this is not recovery",
    alert.acknowledged && `acknowledged${alert.acknowledgedBy ? ` by ${alert.acknowledgedBy}` : ""}`,
    isShelved(alert) && `shelved${alert.shelvedBy ? ` by ${alert.shelvedBy}` : ""} until ${moment(alert.shelvedUntil)}`,
    present.muted.has(alert.id) && inWords(present.muted.get(alert.id)),
  ].filter(Boolean).join(" · ");
}

function buttons(alert) {
  const can = present.about.actions ?? [];
  const about = `${alert.severity} alert of ${alert.sensorId}`;
  const found = [];
  if (can.includes("ack") && !alert.acknowledged) found.push(button("Acknowledge", about, () => acknowledge(alert)));
  if (can.includes("shelve") && !isShelved(alert)) found.push(button("Shelve", about, () => shelve(alert)));
  if (can.includes("unshelve") && isShelved(alert)) found.push(button("Unshelve", about, () => unshelve(alert)));
  found.push(element("a", { href: address(["alert", alert.id]), "aria-label": `Details of the ${about}` }, "Details"));
  found.push(element("a", { href: `#/trace/${encodeURIComponent(alert.id)}`, "aria-label": `Trace the ${about}` }, "Trace"));
  return found;
}

function button(text, about, act) {
  const node = element("button", { type: "button", "aria-label": `${text} the ${about}` }, text);
  node.addEventListener("click", act);
  return node;
}

// --- the page of its own -----------------------------------------------------------------------------------------

export function title() {
  return "Alerts";
}

export function open(root, focused) {
  const list = new AlertList({ heading: "Open alerts" });
  const past = element("div", {}, element("p", { class: "note" }, "Loading…"));
  root.append(list.node, element("section", {}, element("h2", {}, "Earlier alerts"), past));
  showClosed(past);
  let looking = focused;
  return {
    draw({ fresh }) {
      list.draw(fresh);
      const found = looking && [...list.items].find(([id]) => id.startsWith(looking));
      if (found) {
        found[1].item.focus();
        looking = null;
      }
    },
  };
}

async function showClosed(past) {
  const closed = [];
  for (let last = null; closed.length < MOST_CLOSED; ) {
    const answer = await fetch(`/api/v1/alerts?all=true${last ? `&after=${encodeURIComponent(last)}` : ""}`);
    if (!answer.ok) {
      past.replaceChildren(element("p", { class: "note" }, "The gateway could not say which there were."));
      return;
    }
    const alerts = await answer.json(); // the newest first, open ones among them
    if (!alerts.length) break;
    closed.push(...alerts.filter((alert) => alert.state === "cleared"));
    last = alerts.at(-1).id;
  }
  past.replaceChildren(closedTable(closed));
}

export function closedTable(alerts) {
  if (!alerts.length) return element("p", { class: "note" }, "There were none.");
  const rows = alerts.slice(0, MOST_CLOSED).map((alert) =>
    element(
      "tr",
      { role: "row", "data-severity": alert.severity }, // roles, as style.css makes cards of rows
      cell("severity", capital(alert.severity)),
      element("th", { role: "rowheader", scope: "row", class: "sensor-of" }, subjectOf(alert)),
      cell("opened", whole(alert.openedAt)),
      cell("lasted", alert.clearedAt ? lasting(new Date(alert.clearedAt) - new Date(alert.openedAt)) : "open"),
      cell("reason", alert.reason),
      cell("more", link(["alert", alert.id], "Details"), " ", link(["trace", alert.id], "Trace")),
    ),
  );
  const body = element("tbody", { role: "rowgroup" }, ...rows);
  return table({ class: "plain closed", role: "table" }, ["Severity", "Sensor", "Opened", "Lasted", "Reason", "Why"], body);
}
