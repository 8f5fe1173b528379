// The map: outlines from this computer, photos near each other as one picture with their number. Nothing is loaded from
// a network.
import {ask, attempt, byId, formatCount, make, makeThumbnail, showMessage} from "./api.js";
import {Latest} from "./answers.mjs";
import {clampView, decodeWorld, findBox, fitAll, fitBox, measureReach, mergeClusters, nearBox, readView, toScale, writeView} from "./mercator.mjs";

const REST_MS = 180, APART = 52, WHEEL = 1.0018, STEP = 1.6, SMALL_KM = 0.15, PAN = 90,
  WORLD = {west: -180, south: -90, east: 180, north: 90};
const root = byId("map"), canvas = byId("outlines"), overlay = byId("clusters"), words = byId("words");
const latest = new Latest(), pointers = new Map();
const given = readView(new URLSearchParams(location.search).get("at"));
let view = given ?? {x: 0.5, y: 0.42, scale: toScale(2)}, isPlaced = Boolean(given);
let world = null, result = null, timer, isMoved = false;

const size = () => ({width: root.clientWidth, height: root.clientHeight});

// ---- the window

function move(next) {
  view = clampView(next, size());
  draw();
  clearTimeout(timer);
  timer = setTimeout(rest, REST_MS);
}

// scale: times. at: a point of the window that stays where it is.
function zoom(times, at = {x: size().width / 2, y: size().height / 2}) {
  isPlaced = true;
  const {width, height} = size(), before = view;
  const {scale} = clampView({...view, scale: view.scale * times}, size());
  const shift = (middle, point, side) => middle + (point - side / 2) * (1 / before.scale - 1 / scale);
  move({x: shift(view.x, at.x, width), y: shift(view.y, at.y, height), scale});
}

function pan(dx, dy) {
  isPlaced = true;
  move({...view, x: view.x + dx / view.scale, y: view.y + dy / view.scale});
}

const toWindow = ([x, y]) => [(x - view.x) * view.scale + size().width / 2, (y - view.y) * view.scale + size().height / 2];

function draw() {
  const {width, height} = size(), ratio = devicePixelRatio || 1, style = getComputedStyle(root), colour = (name) => style.getPropertyValue(name).trim();
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colour("--sea");
  pen.fillRect(0, 0, width, height);
  const trace = (points) => points.forEach((point, i) => { const [x, y] = toWindow(point); if (i) pen.lineTo(x, y); else pen.moveTo(x, y); });
  if (world) {
    pen.fillStyle = colour("--land");
    for (const polygon of world.land) {
      pen.beginPath();
      for (const ring of polygon) trace(ring);
      pen.fill("evenodd");
    }
    pen.strokeStyle = colour("--border");
    pen.lineWidth = 0.7;
    pen.beginPath();
    for (const line of world.lines) trace(line);
    pen.stroke();
  }
  for (const cluster of overlay.children) place(cluster);
  drawScale();
}

function place(cluster) {
  const [x, y] = toWindow(cluster.point);
  cluster.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
}

// A line that is 1, 2 or 5 times a power of ten long.
function drawScale() {
  const box = findBox(view, size()), km = (measureReach({...box, south: (box.south + box.north) / 2, north: (box.south + box.north) / 2}) * 2) / size().width;
  const wanted = 150 * km, power = 10 ** Math.floor(Math.log10(wanted)), length = [5, 2, 1].find((n) => n * power <= wanted) * power;
  byId("scale").textContent = length >= 1 ? `${length.toLocaleString("en")} km` : `${Math.round(1000 * length)} m`;
  byId("scale").style.width = `${length / km}px`;
}

// ---- the photos

async function rest() {
  const isLatest = latest.begin(), box = findBox(view, size()), query = new URLSearchParams({...(words.value ? {words: words.value} : {}), at: writeView(view)});
  history.replaceState(null, "", `?${query}`);
  const near = nearBox(box);
  byId("here").hidden = !near;
  byId("here").href = `/?${new URLSearchParams({words: [words.value, `near:${near}`].filter(Boolean).join(" ")})}`;
  if (!result) return;
  const found = await attempt(() => ask("clusters", {result, ...box}));
  if (!found || !isLatest()) return;
  overlay.replaceChildren(...mergeClusters(found, view.scale, APART).map(makeCluster));
  const n = found.reduce((sum, {photos}) => sum + photos, 0);
  byId("summary").textContent = n ? `${formatCount(n, "photo")} here` : "No photo with a position here";
}

function makeCluster(cluster) {
  const {photos, latitude, longitude, image_id: imageId} = cluster;
  const button = make("button", {type: "button", className: photos > 1 ? "cluster many" : "cluster",
    "aria-label": `${formatCount(photos, "photo")} at ${latitude.toFixed(2)}, ${longitude.toFixed(2)}`, onclick: () => openCluster(cluster)},
  makeThumbnail(imageId), ...(photos > 1 ? [make("span", {className: "count"}, photos.toLocaleString("en"))] : []));
  button.point = cluster.point;
  place(button);
  return button;
}

// Photos that lie apart are seen from nearer; those at one place are opened.
function openCluster(cluster) {
  if (isMoved) return;
  const next = fitBox(cluster, size());
  if (measureReach(cluster) > SMALL_KM && next.scale > view.scale * 1.2) move(next);
  else location.href = `/?${new URLSearchParams({words: [words.value, `near:${nearBox(cluster)}`].filter(Boolean).join(" ")})}`;
}

async function search() {
  const found = await attempt(() => ask("find", {words: words.value}));
  if (!found) return;
  result = found.result;
  const all = isPlaced ? [] : await attempt(() => ask("clusters", {result, ...WORLD}));
  if (all?.length && !isPlaced) move(fitAll(all, size()));
  else rest();
  isPlaced = true;
}

// ---- pointer and keys

root.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = root.getBoundingClientRect();
  zoom(WHEEL ** -event.deltaY, {x: event.clientX - box.left, y: event.clientY - box.top});
}, {passive: false});
root.addEventListener("pointerdown", (event) => {
  if (event.target.closest(".controls")) return;
  pointers.set(event.pointerId, event);
  isMoved = false;
});
addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const other = [...pointers.values()].find((each) => each.pointerId !== event.pointerId);
  if (other) {
    const distance = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1, box = root.getBoundingClientRect();
    zoom(distance(event) / distance(before), {x: (event.clientX + other.clientX) / 2 - box.left, y: (event.clientY + other.clientY) / 2 - box.top});
  } else if (isMoved || Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY) > 4) {
    pan(before.clientX - event.clientX, before.clientY - event.clientY);
  } else return;
  isMoved = true;
  pointers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel"]) addEventListener(name, (event) => { pointers.delete(event.pointerId); setTimeout(() => { isMoved = false; }); });
root.addEventListener("keydown", (event) => {
  const action = {ArrowLeft: () => pan(-PAN, 0), ArrowRight: () => pan(PAN, 0), ArrowUp: () => pan(0, -PAN), ArrowDown: () => pan(0, PAN),
    "+": () => zoom(STEP), "=": () => zoom(STEP), "-": () => zoom(1 / STEP), 0: () => move({x: 0.5, y: 0.42, scale: 1})}[event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
});
byId("in").addEventListener("click", () => zoom(STEP));
byId("out").addEventListener("click", () => zoom(1 / STEP));
byId("map-search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(() => move(view)).observe(root);

words.value = new URLSearchParams(location.search).get("words") ?? "";
fetch(new URL("world.json", import.meta.url)).then((response) => response.json()).then((outlines) => { world = decodeWorld(outlines); draw(); },
  () => showMessage("The outlines of the map can't be read", true));
search();
