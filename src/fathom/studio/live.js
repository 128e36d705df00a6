// Shows what the stream of slots says, and sends the page's forms without leaving it. The page works without this too.
"use strict";

const places = new Map();
for (const element of document.querySelectorAll("[data-slot]")) {
  const name = element.dataset.slot;
  if (!places.has(name)) places.set(name, []);
  places.get(name).push(element);
}
const lost = document.getElementById("lost");
const toast = document.getElementById("toast");
const lasts = document.getElementById("lasts");
const factor = document.getElementById("factor");
let sliding = false;

// `name`: text; `name@attribute`: an attribute; `name?attribute`: one that is there or not; `name!`: what is inside.
function show(key, value) {
  const [, name, kind, attribute] = /^(.*?)(?:([@?!])([\w-]*))?$/.exec(key);
  for (const element of places.get(name) ?? []) {
    if (kind === "@") {
      if (element === factor && attribute === "value") {
        if (!sliding) factor.value = value;
      } else if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
    } else if (kind === "?") element.toggleAttribute(attribute, value !== "");
    else if (kind === "!") element.innerHTML = value; // escaped where it was put together
    else if (element.textContent !== value) element.textContent = value;
  }
}

function listen() {
  const stream = new EventSource("/events");
  stream.onopen = () => { lost.hidden = true; };
  stream.onmessage = (event) => {
    for (const [key, value] of Object.entries(JSON.parse(event.data))) show(key, value);
  };
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) lost.textContent = "The page cannot listen. Reload it.";
    lost.hidden = false;
  };
  stream.addEventListener("ended", () => {
    stream.close();
    lost.textContent = "The system has ended.";
    lost.hidden = false;
  });
}

function complain(told) {
  toast.textContent = [told.what, told.why, told.fix].filter(Boolean).join(" – ");
  toast.hidden = false;
  clearTimeout(complain.timer);
  complain.timer = setTimeout(() => { toast.hidden = true; }, 8000);
}

async function send(action, fields) {
  let answer;
  try {
    answer = await fetch(action, { method: "POST", body: fields, headers: { accept: "application/json" } });
  } catch {
    complain({ what: "The system cannot be reached." });
    return;
  }
  if (!answer.ok) complain(await answer.json().catch(() => ({ what: `It answered ${answer.status}.` })));
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(event.target, event.submitter));
  send(event.submitter?.getAttribute("formaction") ?? event.target.getAttribute("action"), fields);
});
lasts.addEventListener("change", () => {
  for (const field of document.querySelectorAll("[data-lasts]")) field.value = lasts.value;
});
factor.addEventListener("input", () => {
  sliding = true;
  document.getElementById("shown").textContent = `${factor.value}×`;
});
for (const end of ["pointerup", "keyup", "blur"]) { // where it is as it was there is no change
  factor.addEventListener(end, () => { sliding = false; });
}
factor.addEventListener("change", () => {
  sliding = false;
  factor.form.requestSubmit();
});
document.querySelector(".load button").hidden = true;
listen();
