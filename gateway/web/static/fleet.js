// The centre: every gateway, and the open alerts of all. What is asked of a gateway is shown until it has answered.

import { $, element, table } from "./dom.js";
import { acknowledge, shelve, unshelve } from "./asking.js";
import { begin } from "./session.js";
import { bytes, capital, lasting, whole } from "./words.js";

const EVERY = 5000;
const GATEWAY = ["State", "Gateway", "Heard", "Critical", "Warning", "Sensors", "Behind", "Disk free", "Version", "Configuration"];
const ALERT = ["Severity", "Gateway", "Sensor", "Opened", "Seen to", "Ask for"];
const SHOWN = 500;
let last = null;
let drawn = "";

const count = (number, text, state) => element("li", state ? { "data-state": state } : {}, element("strong", {}, String(number)), text);

function since(time) {
  const passed = Date.now() - Date.parse(time);
  return element("time", { datetime: time, title: whole(time) }, passed < 60_000 ? "just now" : `${lasting(passed)} ago`);
}

function gatewayRow(each) {
  const why = each.problem ? [element("span", { class: "why" }, capital(each.problem))] : [];
  const cells = [
    [element("span", { class: "state" }, each.state)],
    [element("a", { href: `#${encodeURIComponent(each.id)}` }, each.id), ...why],
    [each.heard ? since(each.heard) : "never"],
    [String(each.critical)], [String(each.warning)], [each.sensors === null ? "–" : String(each.sensors)],
    [String(each.behind)], [each.free === null ? "–" : bytes(each.free)], [each.version ?? "–"], [each.config ?? "–"],
  ];
  return element("tr", { "data-state": each.state }, ...cells.map((cell, place) => element("td", { "data-label": GATEWAY[place] }, ...cell)));
}

function seenTo(alert) {
  if (alert.asked && alert.asked.done === null) return `${capital(alert.asked.do)} asked by ${alert.asked.by}; ${alert.gateway} has not answered yet`;
  if (alert.acknowledged) return `Acknowledged by ${alert.acknowledgedBy}`;
  if (alert.shelvedUntil) return `Shelved until ${whole(alert.shelvedUntil)}`;
  if (alert.asked && !alert.asked.done) return `Not done: ${alert.asked.said}`;
  return "";
}

function alertRow(alert) {
  const place = ["site", "area", "machine"].map((name) => alert.tags?.[name]).filter(Boolean).join(" / ");
  const buttons = [];
  const waits = alert.asked && alert.asked.done === null;
  const path = `/api/v1/fleet/${encodeURIComponent(alert.gateway)}/alerts/${encodeURIComponent(alert.id)}`;
  const button = (text, ask) => {
    const made = element("button", { type: "button", "aria-label": `${text} ${alert.sensorId} of ${alert.gateway}` }, text);
    made.addEventListener("click", () => ask({ ...alert, path }));
    buttons.push(made);
  };
  if (!waits && !alert.acknowledged) button("Acknowledge", acknowledge);
  if (!waits && !alert.shelvedUntil) button("Shelve", shelve);
  if (!waits && alert.shelvedUntil) button("Unshelve", unshelve);
  const cells = [
    [element("span", { class: "state" }, alert.severity)], [alert.gateway],
    [element("strong", {}, alert.sensorId), element("span", { class: "why" }, alert.reason), element("span", { class: "why" }, place)],
    [since(alert.openedAt)], seenTo(alert) ? [seenTo(alert)] : [], [element("span", { class: "buttons" }, ...buttons)],
  ];
  return element("tr", { class: alert.severity }, ...cells.map((cell, place) => element("td", place === 2 || place === 5 ? { class: "whole" } : {}, ...cell)));
}

function draw() {
  const only = decodeURIComponent(location.hash.slice(1));
  const { gateways, alerts, alertsInAll, problem } = last;
  const text = JSON.stringify([last, only]);
  if (text === drawn || document.querySelector("dialog[open]")) return;
  drawn = text;
  const states = (state) => gateways.filter((each) => each.state === state).length;
  $("counts").replaceChildren(
    count(gateways.length, gateways.length === 1 ? "gateway" : "gateways"),
    count(states("silent"), "silent", states("silent") ? "critical" : ""),
    count(states("problem"), "with a problem", states("problem") ? "warning" : ""),
    count(alertsInAll, "open alerts"),
  );
  $("stale").hidden = !problem;
  $("stale").textContent = problem ? `The centre hears nobody now: ${problem}. What is shown is what was known before.` : "";
  const order = ["silent", "problem", "waiting", "ok"];
  const sorted = [...gateways].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || b.critical - a.critical || (a.id < b.id ? -1 : 1));
  $("gateways").replaceChildren(sorted.length
    ? table({ class: "plain cards" }, GATEWAY, element("tbody", {}, ...sorted.map(gatewayRow)))
    : element("p", { class: "note" }, "No gateway has reported yet. One does with [fleet] in its configuration, and the address of this centre's broker."));
  const some = only ? alerts.filter((each) => each.gateway === only) : alerts;
  $("filter").replaceChildren(...(only ? [element("a", { href: "#" }, "All gateways"), element("a", { href: location.hash, "aria-current": "true" }, only)] : []));
  $("alerts").replaceChildren(some.length
    ? table({ class: "plain cards" }, ALERT, element("tbody", {}, ...some.slice(0, SHOWN).map(alertRow)))
    : element("p", { class: "note" }, only ? `No alert of ${only} is open.` : "No alert is open."));
  const hidden = (only ? some.length : alertsInAll) - Math.min(some.length, SHOWN);
  if (hidden > 0) $("alerts").append(element("p", { class: "note" }, `${hidden} more are open; the worst are shown.`));
}

async function refresh() {
  try {
    const answer = await fetch("/api/v1/fleet");
    if (!answer.ok) throw new Error(answer.status === 401 ? "sign in at “This gateway” first" : `the centre answers ${answer.status}`);
    last = await answer.json();
    $("connection").dataset.connection = "live";
    $("connection").textContent = "live";
    draw();
  } catch (error) {
    $("connection").dataset.connection = "lost";
    $("connection").textContent = error instanceof TypeError ? "the centre does not answer" : error.message;
  }
}

addEventListener("hashchange", () => last && draw());
await begin();
await refresh();
setInterval(refresh, EVERY);
