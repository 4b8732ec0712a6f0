// Asking the gateway to change something: a dialog for the name and the reason; the token is asked for once.

import { $, element } from "./dom.js";
import { session } from "./session.js";
import { capital } from "./words.js";

const TOKEN = "vibration-gateway-token";
const NAME = "vibration-gateway-name";
const DURATIONS = [["30m", "30 minutes"], ["2h", "2 hours"], ["8h", "8 hours, a shift"], ["1d", "a day"], ["7d", "a week"]];

export function acknowledge(alert) {
  const fields = [...nameFields(), reasonField("")];
  ask("Acknowledge", alert, fields, "ack", (form) => ({ ...by(form), reason: form.get("reason") }));
}

export function shelve(alert) {
  const options = DURATIONS.map(([value, text]) => element("option", { value }, text));
  const duration = field("For", element("select", { name: "for" }, ...options));
  const body = (form) => ({ ...by(form), for: form.get("for"), reason: form.get("reason") });
  ask("Shelve", alert, [...nameFields(), duration, reasonField("required")], "shelve", body);
}

export function unshelve(alert) {
  const fields = [...nameFields(), reasonField("")];
  ask("Unshelve", alert, fields, "unshelve", (form) => ({ ...by(form), reason: form.get("reason") }));
}

// Whoever signed in is known; with the gateway's own token anybody may be named.
function nameFields() {
  if (!session.namesItself) return [];
  const known = sessionStorage.getItem(NAME) ?? "";
  return [field("Your name", element("input", { name: "by", required: "", maxlength: "100", autocomplete: "name", value: known }))];
}

function by(form) {
  return session.namesItself ? { by: form.get("by") } : {};
}

function reasonField(required) {
  const input = element("input", { name: "reason", maxlength: "1000", autocomplete: "off" });
  input.required = Boolean(required);
  return field(required ? "Reason" : "Reason (if there is one)", input);
}

function tokenField() {
  const hint = element("small", {}, "It is in the configuration, or in the file http-token in the gateway's state_dir. This tab remembers it until you close it.");
  const input = element("input", { name: "token", type: "password", required: "", autocomplete: "current-password" });
  return field("Token", input, hint);
}

function field(text, input, ...more) {
  return element("label", {}, element("span", {}, text), input, ...more);
}

function ask(what, alert, fields, action, bodyOf) {
  const problem = element("p", { class: "problem", role: "alert" });
  const send = element("button", { class: "primary" }, what);
  const cancel = element("button", { type: "button" }, "Cancel");
  const of = element("p", {}, `${alert.sensorId}: ${alert.reason}`);
  const form = element("form", {}, element("h2", { id: "dialog-title" }, `${what} this alert`), of, ...fields);
  if (!session.signedIn && !sessionStorage.getItem(TOKEN)) form.append(tokenField());
  form.append(problem, element("p", { class: "buttons" }, send, cancel));
  const dialog = element("dialog", { "aria-labelledby": "dialog-title" }, form);
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const at = alert.path ?? `/api/v1/alerts/${encodeURIComponent(alert.id)}`; // another gateway's is below /api/v1/fleet
    const said = await change(`${at}/${action}`, new FormData(form), bodyOf);
    send.disabled = false;
    if (said === null) {
      $("announcement").textContent = alert.path ? `${what}: asked of ${alert.gateway}; what it answers is shown here.` : `${what}: done.`;
      dialog.close();
      return;
    }
    problem.textContent = said;
    if (!session.signedIn && !sessionStorage.getItem(TOKEN) && !form.elements.token) problem.before(tokenField());
  });
  document.body.append(dialog);
  dialog.showModal();
}

// Ask for a change; return null, or why it was not made.
async function change(path, form, bodyOf) {
  const token = form.get("token") ?? sessionStorage.getItem(TOKEN);
  if (form.has("by")) sessionStorage.setItem(NAME, form.get("by"));
  const headers = { "Content-Type": "application/json" };
  if (!session.signedIn) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(bodyOf(form)) });
  } catch {
    return "The gateway does not answer; nothing has changed.";
  }
  if (answer.status === 401) sessionStorage.removeItem(TOKEN);
  else if (!session.signedIn) sessionStorage.setItem(TOKEN, token);
  if (answer.ok) return null;
  const { detail } = await answer.json().catch(() => ({}));
  const words = Array.isArray(detail) ? detail.map((each) => `${each.loc.at(-1)}: ${each.msg}`).join("; ") : detail;
  return `${capital(words ?? `the gateway answered ${answer.status}`)}.`;
}
