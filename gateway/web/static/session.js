// Who is signed in at this page, and the dialog that asks for it.

import { $, element } from "./dom.js";

const PATH = "/api/v1/session";

export const session = { signedIn: false, name: null, role: null, namesItself: true, readNeedsSignIn: false };

let dialog = null;

// Ask the gateway who is signed in; where reading needs that, ask for it.
export async function begin() {
  try {
    Object.assign(session, await (await fetch(PATH)).json());
  } catch {
    return; // the stream tells that there is no contact
  }
  draw();
  if (session.readNeedsSignIn && !session.signedIn) signIn();
}

function draw() {
  const button = element("button", { type: "button" }, session.signedIn ? "Sign out" : "Sign in");
  button.addEventListener("click", session.signedIn ? signOut : signIn);
  const words = session.signedIn ? [`${session.name} (${session.role}) `] : [];
  $("session").replaceChildren(...words, button);
}

async function signOut() {
  await fetch(PATH, { method: "DELETE" }).catch(() => null);
  location.reload();
}

export function signIn() {
  if (dialog) return;
  const name = element("input", { name: "name", maxlength: "100", autocomplete: "username" });
  const password = element("input", { name: "password", type: "password", required: "", autocomplete: "current-password" });
  const hint = element("small", {}, "With the gateway's own token as the password, leave the name empty.");
  const problem = element("p", { class: "problem", role: "alert" });
  const send = element("button", { class: "primary" }, "Sign in");
  const cancel = element("button", { type: "button" }, "Cancel");
  const form = element("form", {}, element("h2", { id: "sign-in-title" }, "Sign in"),
    element("label", {}, element("span", {}, "Name"), name),
    element("label", {}, element("span", {}, "Password"), password, hint),
    problem, element("p", { class: "buttons" }, send, cancel));
  dialog = element("dialog", { "aria-labelledby": "sign-in-title" }, form);
  cancel.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    dialog.remove();
    dialog = null;
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    problem.textContent = await refused(name.value, password.value);
    send.disabled = false;
    if (!problem.textContent) location.reload();
  });
  document.body.append(dialog);
  dialog.showModal();
}

async function refused(name, password) {
  const headers = { "Content-Type": "application/json" };
  try {
    const answer = await fetch(PATH, { method: "POST", headers, body: JSON.stringify({ name, password }) });
    if (answer.ok) return "";
    const { detail } = await answer.json();
    return typeof detail === "string" ? `${detail}.` : "The name or password is too long.";
  } catch {
    return "The gateway does not answer.";
  }
}
