// Shared by all pages: requests to the server, messages, elements. Text is inserted as text, never as HTML.
import {readAnswer} from "./answers.mjs";
import {formatCount, groupLabels} from "./wording.mjs";

export {formatBytes} from "./facts.mjs";
export {formatCount, formatPercent} from "./wording.mjs";

export const byId = (id) => document.getElementById(id);

// signal: ends it; the error is named AbortError then.
export async function ask(name, params = {}, signal = null) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    for (const each of [value].flat()) if (each !== undefined && each !== null && each !== "") query.append(key, each);
  }
  return send(`/api/${name}?${query}`, {signal});
}

export async function change(name, body = {}) {
  const headers = {"Content-Type": "application/json"};
  return send(`/api/${name}`, {method: "POST", headers, body: JSON.stringify(body)});
}

async function send(url, options) {
  let response, text;
  try {
    response = await fetch(url, options);
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("Can't reach photosearch. Is `photosearch browse` still running?");
  }
  return readAnswer(response.status, text);
}

let hiding;
// button: {text, act()} beside the text.
export function showMessage(text, isError = false, button = null) {
  const message = byId("message");
  message.textContent = text;
  if (button) message.append(" ", make("button", {type: "button", onclick: button.act}, button.text));
  message.classList.toggle("error", isError);
  message.hidden = !text;
  (document.querySelector("dialog[open]") ?? document.body).append(message); // below an open dialog it is invisible
  clearTimeout(hiding);
  hiding = setTimeout(() => { message.hidden = true; }, isError || button ? 9000 : 3500);
}

// Run an action and show its error, if any; then the result is undefined. What was ended on purpose is no error.
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (error.name !== "AbortError") showMessage(error.message, true);
    return undefined;
  }
}

export function make(tag, values = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(values)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && !key.startsWith("aria")) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

export const thumbnailUrl = (imageId, large = false) => `/thumbnails/${imageId}${large ? "?size=large" : ""}`;
export const formatInterval = (ends) => (ends ? `${(100 * ends[0]).toFixed(1)} to ${(100 * ends[1]).toFixed(1)} %` : "–");
// Whether a key should not run a shortcut.
export const isTyping = (event) => event.ctrlKey || event.metaKey || event.altKey
  || event.target.closest("input:not([type=checkbox], [type=radio], [type=range]), select, textarea") !== null;

export function makeThumbnail(imageId, alt = "") {
  const image = make("img", {alt, draggable: false, decoding: "async"});
  image.addEventListener("error", () => image.replaceWith(make("span", {className: "broken"}, "can't be opened")));
  image.src = thumbnailUrl(imageId);
  return image;
}

// The labels, as /api/labels lists them; they are offered in the details of a photo too.
export async function loadLabels() {
  const labels = await ask("labels");
  byId("all-labels").replaceChildren(...labels.map(({name}) => make("option", {value: name})));
  return labels;
}

// Offer labels in a menu, those with photos here first. first: options before them.
export function fillMenu(menu, labels, ...first) {
  const shown = menu.value;
  menu.replaceChildren(...first, ...groupLabels(labels).map(({title, rows}) => make("optgroup", {label: title},
    ...rows.map(({name, photos}) => make("option", {value: name}, photos ? `${name} (${photos.toLocaleString("en")})` : name)))));
  menu.value = shown;
}

// Show the state of the library, again and again.
async function pollStatus() {
  let running = false;
  try {
    const status = await ask("status");
    running = status.running;
    const unreadable = status.unreadable ? `, ${status.unreadable.toLocaleString("en")} unreadable` : "";
    const photos = formatCount(status.photos, "photo") + unreadable;
    byId("status").textContent = running
      ? `Indexing with ${status.models.join(" and ")}: ${photos}; ${status.scored.toLocaleString("en")} scored` : photos;
  } catch (error) {
    byId("status").textContent = error.message;
  }
  setTimeout(pollStatus, document.hidden ? 30000 : running ? 2000 : 15000);
}
pollStatus();
