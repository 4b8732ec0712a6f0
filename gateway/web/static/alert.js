// One alert, open or over: its changes, and who was told of each or was not, and why.

import { element, link } from "./dom.js";
import { subjectOf } from "./alerts.js";
import { capital, count, lasting, moment, where, whole } from "./words.js";

const EVERY_MS = 5000;

export function title(id) {
  return `Alert ${id.slice(0, 8)}`;
}

export function open(root, id) {
  const found = element("div", {}, element("p", { class: "note" }, "Loading…"));
  root.append(element("p", { class: "crumbs" }, link(["alerts"], "Alerts")), found);
  let timer = 0;
  let isOpen = true;
  let shown = "";
  async function look() {
    const [isWell, text] = await ask(id);
    if (!isOpen) return;
    if (text !== shown) found.replaceChildren(...(isWell ? past(JSON.parse(text)) : [element("p", { class: "note" }, text)]));
    shown = text;
    timer = setTimeout(look, EVERY_MS);
  }
  look();
  return {
    draw() {},
    close() {
      isOpen = false;
      clearTimeout(timer);
    },
  };
}

async function ask(id) {
  try {
    const answer = await fetch(`/api/v1/alerts/${encodeURIComponent(id)}`);
    if (answer.ok) return [true, await answer.text()];
    return [false, answer.status === 404 ? "There is no such alert, or it is older than the journal keeps them." : `The gateway answered ${answer.status}.`];
  } catch {
    return [false, "The gateway does not answer."];
  }
}

function past(alert) {
  const name = where(alert.tags).pop() ?? (alert.location || capital(alert.kind));
  const of = subjectOf(alert);
  const list = facts(alert).map(([term, value]) => element("div", { class: "fact" }, element("dt", {}, term), element("dd", {}, value)));
  return [
    element("h2", { class: "name" }, name, " · ", of),
    element("p", { class: "reason" }, alert.reason),
    element("dl", { class: "facts" }, ...list),
    section("What happened", alert.history.map(change), "The journal does not keep it any more."),
    section("Messages", alert.messages.map(message), "Nobody was to be told of it."),
  ];
}

function facts({ severity, state, openedAt, clearedAt, acknowledged, acknowledgedBy, shelvedUntil, shelvedBy, id }) {
  return [
    ["Severity", capital(severity)],
    ["State", capital(state)],
    ["Opened", whole(openedAt)],
    clearedAt && ["Lasted", lasting(new Date(clearedAt) - new Date(openedAt))],
    ["Acknowledged", acknowledged ? `by ${acknowledgedBy ?? "somebody"}` : "no"],
    shelvedUntil && ["Shelved", `by ${shelvedBy} until ${moment(shelvedUntil)}`],
    ["Why", link(["trace", id], "Trace")],
  ].filter(Boolean);
}

function section(name, items, none) {
  const shown = items.length ? element("ol", { class: "life" }, ...items) : element("p", { class: "note" }, none);
  return element("section", {}, element("h2", {}, name), shown);
}

function change({ at, change: type, why, told }) {
  const isWorse = type === "AlertRaised" || type === "AlertEscalated";
  const outcomes = told.map(({ handler, state, attempts, said }) => element("p", {}, `${handler}: ${outcome(state, attempts, said)}`));
  return item(isWorse ? type : "", capital(type.replace("Alert", "")), at, element("p", {}, why), ...outcomes);
}

function message({ at, handler, route, kind, state, attempts, said, alerts, named, by, why, until }) {
  const others = alerts > 1 ? `, with ${count(alerts - 1, "other alert")}${named ? "" : ", this one counted and not named"}` : "";
  const decided = `${state} by ${by}: ${why}${until ? `, until ${moment(until)}` : ""}`;
  const words = by === null ? outcome(state, attempts, said) : decided;
  return item(by === null ? "" : "withheld", handler ?? route ?? "Everybody", at, element("p", {}, `${capital(kind)}${others}: ${words}`));
}

function outcome(state, attempts, said) {
  return `${state}${attempts ? ` after ${count(attempts, "attempt")}` : ""}${said ? `: ${said}` : ""}`;
}

function item(step, name, at, ...children) {
  return element("li", { "data-step": step }, element("strong", {}, name), element("time", { datetime: at }, whole(at)), ...children);
}
