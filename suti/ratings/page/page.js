// The page keeps nothing but a name and the request under way: what to show comes with every reply of the server.
"use strict";

const $ = (id) => document.getElementById(id);
const RETRY_MS = 1500;
const GUARD_MS = 250; // nobody judges faster: the second half of a double click must not answer the next question
let study = null;
let state = null;
let rater = null;
let busy = false;
let shownAt = 0;

// Not crypto.randomUUID: it is missing where the page comes by plain http from another machine.
const token = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const fill = (text) => text.replaceAll("{subject}", state.item.subject);

function element(name, text, attributes = {}) {
  const node = document.createElement(name);
  if (text) node.textContent = text; // prompts and names are text, whatever they hold
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function remember(storage, key, value) {
  try {
    if (value === undefined) return storage.getItem(key);
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, value);
  } catch { /* a browser that forbids storage asks for the name again */ }
  return null;
}

async function post(path, body) {
  const reply = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ rater, ...body }),
  });
  return { status: reply.status, body: await reply.json() };
}

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").classList.toggle("bad", bad);
}

// Sends until the server has answered. The token is the same each time, so a repeated request counts once.
async function send(path, body) {
  if (busy) return;
  busy = true;
  for (const button of document.querySelectorAll("#choices button, #undo, #undo-end")) button.disabled = true;
  say("saving …");
  const request = { ...body, token: token() };
  for (;;) {
    try {
      const { status, body: answer } = await post(path, request);
      if (status === 200 || status === 409) {
        state = answer;
        say(status === 200 ? "saved" : answer.error, status !== 200);
        break;
      }
      if (status < 500) {
        say(answer.error, true);
        break;
      }
      say(answer.error + "; trying again …", true);
    } catch {
      say("not saved: no answer from the server; trying again …", true);
    }
    await wait(RETRY_MS);
  }
  busy = false;
  show();
}

function choose(value) {
  if (performance.now() - shownAt < GUARD_MS) return;
  const { id, question } = state.item;
  return send("/api/answer", { item: id, question, value });
}

function undo() {
  if (performance.now() - shownAt < GUARD_MS) return;
  if (state && state.last !== null) return send("/api/undo", { answer: state.last });
}

function picture(name, alt) {
  return element("img", "", { src: `/images/${name}.png`, alt, draggable: "false" });
}

function show() {
  const { item } = state;
  shownAt = performance.now();
  $("start").hidden = true;
  $("desk").hidden = !item;
  $("end").hidden = Boolean(item);
  $("progress").value = state.done / state.total;
  $("count").textContent = `${state.done} of ${state.total}`;
  $("who").textContent = rater;
  $("undo").disabled = $("undo-end").disabled = state.last === null;
  if (!item) {
    $("farewell").textContent = `${state.total} of ${state.total} rated and saved, ${rater}. You can close the page.`;
    return;
  }
  const several = item.candidates.length > 1;
  if ($("desk").dataset.item !== item.id) {
    $("desk").dataset.item = item.id;
    $("class").textContent = item.subject;
    $("prompt").textContent = item.prompt;
    $("references").replaceChildren(...item.references.map((n, i) => picture(n, `the subject, picture ${i + 1}`)));
    $("candidates").replaceChildren(...item.candidates.map((name, i) => {
      const figure = element("figure");
      const label = several ? ["Left", "Right"][i] : "";
      figure.append(picture(name, several ? `picture to judge, ${label}` : "picture to judge"));
      if (several) figure.append(element("figcaption", label));
      return figure;
    }));
    window.scrollTo(0, 0);
  }
  const question = study.questions.find((q) => q.name === item.question);
  $("question").textContent = fill(question.text);
  $("help").textContent = fill(question.help);
  $("steps").replaceChildren(...study.questions.map((q, i) => {
    const choice = q.choices.find((c) => c.value === item.answers[q.name]);
    return element("li", `${i + 1}. ${q.label}${choice ? ": " + choice.label : ""}`, q === question ? { class: "now" } : {});
  }));
  $("choices").replaceChildren(...question.choices.map((choice) => {
    const button = element("button", choice.label, { class: "choice", "data-value": choice.value });
    button.prepend(element("kbd", choice.keys[0].toUpperCase()));
    button.addEventListener("click", () => choose(choice.value));
    return button;
  }));
  for (const name of state.next || []) new Image().src = `/images/${name}.png`;
}

async function enter(name) {
  rater = name;
  try {
    const { status, body } = await post("/api/state", {});
    if (status !== 200) throw new Error(body.error);
    state = body;
    rater = body.rater;
    remember(sessionStorage, "rater", rater);
    remember(localStorage, "rater", rater);
    say(state.last === null ? "" : "welcome back");
    show();
  } catch (error) {
    $("refusal").textContent = error.message;
    $("refusal").hidden = false;
    begin();
  }
}

function begin() {
  $("desk").hidden = $("end").hidden = true;
  $("start").hidden = false;
  $("rater").value ||= remember(localStorage, "rater") || "";
}

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  $("refusal").hidden = true;
  enter($("rater").value);
});
$("leave").addEventListener("click", () => {
  if (busy) return;
  remember(sessionStorage, "rater", null);
  delete $("desk").dataset.item;
  $("rater").value = "";
  begin();
});
$("undo").addEventListener("click", undo);
$("undo-end").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if (!$("start").hidden || busy || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "u" || event.key === "U" || event.key === "Backspace") {
    event.preventDefault();
    undo();
    return;
  }
  if (!state || !state.item) return;
  const question = study.questions.find((q) => q.name === state.item.question);
  const choice = question.choices.find((c) => c.keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
  if (choice) {
    event.preventDefault();
    choose(choice.value);
  }
});

(async () => {
  study = await (await fetch("/api/study")).json();
  document.title = study.title;
  $("title").textContent = study.title;
  $("instructions").textContent = study.instructions;
  const known = remember(sessionStorage, "rater");
  if (known) await enter(known);
  else begin();
})();
