// The search page: the search is in the address, its results are in the grid.
import {ask, attempt, byId, change, formatCount, isTyping, loadLabels, make, makeThumbnail, showMessage} from "./api.js";
import {Latest, neutralize} from "./answers.mjs";
import {Details} from "./details.js";
import {Grid} from "./grid.js";
import {mark, onMarks, toggle, undo} from "./marks.js";

const form = byId("search"), words = byId("words"), suggestions = byId("suggestions"), label = byId("label");
const FIELDS = ["words", "since", "until", "under", "query_mode", "sort", "min_score"];
let results = null; // of the last search, as /api/find gives them
let examples = []; // photos to be like (sign 1) or unlike (sign -1)
const latestSearch = new Latest(), latestInput = new Latest();

const grid = new Grid(byId("grid"), {
  fetch: async (first, n) => {
    const {result} = results;
    try {
      return (await ask("results", {result, first, n, label: label.value})).photos;
    } catch (error) {
      if (results.result === result) showMessage(error.message, true);
      throw error;
    }
  },
  open: (index) => open(index),
  toggle: (row, present) => { if (hasLabel()) toggle(row.image_id, label.value, row.present, present); },
  like: (imageId) => searchLike(imageId, 1), label: () => label.value,
});

const details = new Details({
  step: (by) => { const index = grid.current + by; if (index >= 0 && index < grid.total) { grid.focus(index); open(index); } },
  like: (imageId, sign) => searchLike(imageId, sign),
});

async function open(index) {
  const row = await grid.getRow(index);
  if (!row) return;
  const labels = [...new Set([label.value, ...results.labels])].filter(Boolean);
  details.show(row.image_id, {labels, explanation: explain(row), row});
}

function explain(row) {
  const score = row.score.toFixed(3), models = `(model: ${results.models.join(" and ")})`;
  return results.ranked_by === "label" ? `${results.question}: score ${score} ${models}`
    : `Similarity ${score} to ${results.question ? `“${results.question}”` : "your photos"} ${models}`;
}

function hasLabel() {
  if (!label.value) showMessage("Choose a label to mark first", true);
  return Boolean(label.value);
}

async function markPhoto(index, present) {
  if (!hasLabel()) return;
  const row = await grid.getRow(index);
  if (row) mark(row.image_id, label.value, present);
}

onMarks((marks) => {
  const current = marks.filter((each) => each.label === label.value);
  grid.updateMarks(new Map(current.map((each) => [each.image_id, each.present])));
});

function searchLike(imageId, sign) {
  examples = [...examples.filter((each) => each.imageId !== imageId), {imageId, sign}];
  if (sign > 0) words.value = "";
  submit();
}

// ---- the search, in the address and in the form

function readForm() {
  const data = new FormData(form);
  const search = Object.fromEntries(FIELDS.map((name) => [name, (data.get(name) ?? "").trim()]).filter(([, value]) => value));
  if (data.get("file_dates")) search.file_dates = "1";
  const withSign = (sign) => examples.filter((each) => each.sign === sign).map((each) => each.imageId);
  return {...search, like: withSign(1), unlike: withSign(-1)};
}

function toAddress(search) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) for (const each of [value].flat()) query.append(key, each);
  return query.size ? `?${query}` : location.pathname;
}

function fillForm() {
  const query = new URLSearchParams(location.search);
  for (const name of FIELDS) form.elements[name].value = query.get(name) ?? "";
  form.elements.file_dates.checked = query.has("file_dates");
  const read = (name, sign) => query.getAll(name).map((id) => ({imageId: Number(id), sign}));
  examples = [...read("like", 1), ...read("unlike", -1)];
  byId("filters").open = [...query.keys()].some((key) => !["words", "like", "unlike"].includes(key));
}

function submit() {
  const address = toAddress(readForm());
  if (address !== location.search) history.pushState(null, "", address);
  search();
}

function showExamples() {
  byId("examples").replaceChildren(...examples.map((example) => make("button", {
    type: "button", "aria-label": `${example.sign > 0 ? "More" : "Less"} like this photo: remove`,
    onclick: () => { examples = examples.filter((each) => each !== example); submit(); },
  }, makeThumbnail(example.imageId), `${example.sign > 0 ? "more" : "less"} like this ×`)));
}

// ---- the results

async function search(more = {}) {
  closeSuggestions();
  showExamples();
  const request = readForm(), isLatest = latestSearch.begin();
  document.title = `${neutralize(request.words || "Search")} · photosearch`;
  if (!request.words && !examples.length) { show(null); return; }
  try {
    const response = await ask("find", {...request, ...more});
    if (!isLatest()) return;
    show(response);
    if (response.total === null) {
      const {total} = await ask("total", {result: response.result});
      if (isLatest()) { response.total = total; summarize(); grid.grow(total); }
    }
  } catch (error) {
    if (isLatest()) { show(null); byId("summary").textContent = error.message; }
  }
}

function show(response) {
  results = response;
  const explanation = response?.explanation ?? [];
  byId("tools").hidden = !response?.photos.length;
  byId("explanation").hidden = !explanation.length;
  if (response) label.value = response.label ?? "";
  byId("explanation").querySelector("ul").replaceChildren(...explanation.map((line) => make("li", {}, line)));
  scrollTo(0, 0);
  grid.show(response?.photos ?? [], response ? response.total ?? response.photos.length : 0);
  summarize();
}

function summarize() {
  const summary = byId("summary");
  if (!results) { summary.textContent = ""; return; }
  const {total, photos, models} = results, n = total ?? photos.length;
  if (!results.similar) {
    summary.replaceChildren("No close matches. ",
      make("button", {type: "button", onclick: () => search({min_similarity: -1})}, "Show the closest photos"));
  } else if (!n) summary.textContent = `No photos found (model: ${models.join(" and ")})`;
  else if (total === null) summary.textContent = `More than ${formatCount(n, "photo")}`;
  else if (results.ranked_by === "similarity") summary.textContent = n === 1 ? "Closest match" : `${n.toLocaleString("en")} closest matches`;
  else summary.textContent = formatCount(n, "photo") + (results.is_user_label ? " (your label)" : "");
}

// ---- labels that complete what is being typed

let suggested = -1; // the index of the selected suggestion
function closeSuggestions() {
  suggestions.hidden = true;
  suggested = -1;
  words.setAttribute("aria-expanded", "false");
  words.removeAttribute("aria-activedescendant");
}

function suggest(index) {
  const options = [...suggestions.children];
  suggested = index < -1 ? options.length - 1 : index >= options.length ? -1 : index;
  options.forEach((option, i) => option.setAttribute("aria-selected", i === suggested));
  if (suggested < 0) words.removeAttribute("aria-activedescendant");
  else { words.setAttribute("aria-activedescendant", options[suggested].id); options[suggested].scrollIntoView({block: "nearest"}); }
}

function accept(text) {
  words.value = text;
  closeSuggestions();
  words.focus();
}

let submitted = null;
words.addEventListener("input", async () => {
  const text = words.value, isLatest = latestInput.begin();
  const completions = text.trim() ? await ask("complete", {words: text}).catch(() => []) : [];
  if (!isLatest() || document.activeElement !== words || submitted === text) return;
  closeSuggestions();
  suggestions.replaceChildren(...completions.filter((each) => each !== text).map((each, i) => make("li", {
    id: `suggestion-${i}`, role: "option", "aria-selected": false, onmousedown: (event) => { event.preventDefault(); accept(each); },
  }, each)));
  suggestions.hidden = !suggestions.children.length;
  words.setAttribute("aria-expanded", String(!suggestions.hidden));
});
words.addEventListener("keydown", (event) => {
  if (suggestions.hidden) return;
  if (event.key === "ArrowDown") suggest(suggested + 1);
  else if (event.key === "ArrowUp") suggest(suggested < 0 ? -2 : suggested - 1);
  else if (event.key === "Escape") closeSuggestions();
  else if (event.key === "Enter" && suggested >= 0) accept(suggestions.children[suggested].textContent);
  else return;
  event.preventDefault();
});
words.addEventListener("blur", closeSuggestions);

// ---- albums

byId("album").addEventListener("click", () => {
  byId("album-count").textContent = `${formatCount(results.total ?? results.photos.length, "photo")} found`;
  byId("album-name").value = (results.question || "like this").replace(/[/\\:*?"<>|]/g, " ").slice(0, 60);
  byId("album-dialog").showModal();
});
byId("album-cancel").addEventListener("click", () => byId("album-dialog").close());
byId("album-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const how = new FormData(event.target).get("how"), n = Number(byId("album-first").value); // 0 if empty: all
  const indices = n ? [...Array(Math.min(n, results.total ?? n)).keys()] : null;
  const album = await attempt(() => change("album", {result: results.result, indices, name: byId("album-name").value, how}));
  if (!album) return;
  byId("album-dialog").close();
  const created = how === "link" ? formatCount(album.created, "link") : formatCount(album.created, "copy", "copies");
  const others = `${album.existing ? `, ${album.existing} already there` : ""}${album.missing ? `, ${album.missing} left out` : ""}`;
  showMessage(`${album.folder}: ${created}${others}`);
});

// ---- keys, and the start

document.addEventListener("keydown", (event) => {
  if (isTyping(event) || document.querySelector("dialog[open]")) return;
  const actions = {
    "/": () => { words.focus(); words.select(); }, u: undo,
    y: () => markPhoto(grid.current, true), n: () => markPhoto(grid.current, false),
    l: async () => { const row = await grid.getRow(grid.current); if (row) searchLike(row.image_id, 1); },
  };
  const action = actions[event.key.toLowerCase()];
  if (!action || (event.key !== "/" && !grid.total)) return;
  event.preventDefault();
  action();
});
form.addEventListener("submit", (event) => { event.preventDefault(); submitted = words.value; latestInput.begin(); submit(); });
byId("filters").addEventListener("change", () => { if (words.value.trim() || examples.length) submit(); });
byId("clear").addEventListener("click", () => {
  for (const name of FIELDS) if (name !== "words") form.elements[name].value = "";
  form.elements.file_dates.checked = false;
  submit();
});
label.addEventListener("change", () => { if (results) search({label: label.value}); });
addEventListener("popstate", () => { fillForm(); search(); });

attempt(async () => {
  const hasFolder = new URLSearchParams(location.search).has("under"); // its option must exist before the search
  fillForm();
  const searching = hasFolder ? null : search();
  if (!location.search) words.focus();
  const [names, folders] = await Promise.all([loadLabels(), ask("folders")]);
  label.replaceChildren(make("option", {value: ""}, "choose a label"), ...names.map((name) => make("option", {value: name}, name)));
  label.value = results?.label ?? "";
  form.elements.under.append(...folders.map((folder) => make("option", {value: folder.id}, folder.path)));
  if (hasFolder) fillForm();
  await (hasFolder ? search() : searching);
});
