// What all pages share: asking the server, saying what happened, making elements. Text goes in as text, never as HTML.

export async function ask(name, params = {}) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") query.append(key, one);
    }
  }
  return read(await reach(`/api/${name}?${query}`));
}

export async function change(name, body = {}) {
  const headers = {"Content-Type": "application/json"};
  return read(await reach(`/api/${name}`, {method: "POST", headers, body: JSON.stringify(body)}));
}

async function reach(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    throw new Error("photosearch does not answer: was `photosearch browse` ended?");
  }
}

async function read(response) {
  const text = await response.text();
  let told = null;
  try { told = JSON.parse(text); } catch { /* a refusal is plain text */ }
  if (!response.ok) throw new Error(told?.error ?? (text.slice(0, 300) || `the server answered ${response.status}`));
  return told;
}

let fading;
export function say(text, error = false) {
  const place = document.querySelector("dialog[open] .said") ?? document.querySelector("#message");
  place.textContent = text;
  place.classList.toggle("error", error);
  place.hidden = !text;
  const open = document.querySelector("dialog[open]");
  (open ?? document.body).append(place); // what lies below an open dialog can't be seen
  clearTimeout(fading);
  fading = setTimeout(() => { place.hidden = true; }, error ? 9000 : 3500);
}

// Run what a key or a click asked for; what goes wrong is said.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    say(error.message, true);
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
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const thumbnail = (id, large = false) => `/thumbnails/${id}${large ? "?size=large" : ""}`;
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
export const size = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
export const percent = (share) => (share === null ? "no value" : `${(100 * share).toFixed(1)} %`);
export const spread = (ends) => (ends ? `${(100 * ends[0]).toFixed(1)} to ${(100 * ends[1]).toFixed(1)}` : "–");
export const isTyping = (target) => target.closest("input:not([type=checkbox], [type=radio], [type=range]), select, textarea") !== null;

// A picture that can't be opened says so in its place.
export function picture(id, alt = "") {
  const image = make("img", {alt, draggable: false, decoding: "async"});
  image.addEventListener("error", () => image.replaceWith(make("span", {className: "broken"}, "can't be opened")));
  image.src = thumbnail(id);
  return image;
}

// Where the labels of the library go that may be chosen.
export async function labels() {
  const known = await ask("labels");
  const names = [...new Set(known.map((each) => each.label))];
  document.querySelector("#all-labels")?.replaceChildren(...names.map((name) => make("option", {value: name})));
  return known;
}

// The line about an index that runs beside.
async function watch() {
  const place = document.querySelector("#status");
  let running = false;
  try {
    const told = await ask("status");
    running = told.running;
    const more = told.unreadable ? `, ${told.unreadable.toLocaleString("en")} unreadable` : "";
    const text = count(told.photos, "photo") + more;
    place.textContent = running
      ? `An index is running, with ${told.models.join(" and ")}: ${text}; ${told.scored.toLocaleString("en")} scored` : text;
  } catch (error) {
    place.textContent = error.message;
  }
  setTimeout(watch, document.hidden ? 30000 : running ? 2000 : 15000);
}
watch();
