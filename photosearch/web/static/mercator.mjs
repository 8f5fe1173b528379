// The geometry of the map: Mercator's projection, the window on it, outlines. The world is a square with sides of 1, x to
// the east and y to the south; a view is its middle {x, y} and `scale`, the pixels of that side.

export const MIN_ZOOM = 0, MAX_ZOOM = 17, TILE = 256, MAX_LATITUDE = 85.05, REGION_ZOOM = 9;
const KM_AROUND = 40_075;

export function project(latitude, longitude) {
  const phi = (Math.max(-MAX_LATITUDE, Math.min(MAX_LATITUDE, latitude)) * Math.PI) / 180;
  return [(longitude + 180) / 360, (1 - Math.log(Math.tan(phi) + 1 / Math.cos(phi)) / Math.PI) / 2];
}

export const unproject = (x, y) => ({latitude: (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI, longitude: x * 360 - 180});

export const toScale = (zoom) => TILE * 2 ** zoom;
export const toZoom = (scale) => Math.log2(scale / TILE);

// A view whose window lies in the world, as far as it can.
export function clampView({x, y, scale}, {width, height}) {
  const to = Math.min(Math.max(scale, Math.max(width, height * 0.9) * 0.98, toScale(MIN_ZOOM)), toScale(MAX_ZOOM));
  const keep = (at, size) => (size >= to ? 0.5 : Math.min(Math.max(at, size / 2 / to), 1 - size / 2 / to));
  return {x: keep(x, width), y: keep(y, height), scale: to};
}

// {west, south, east, north} of a window, in degrees.
export function findBox({x, y, scale}, {width, height}) {
  const north = unproject(0, Math.max(0, y - height / 2 / scale)), south = unproject(0, Math.min(1, y + height / 2 / scale));
  const west = Math.max(-180, unproject(x - width / 2 / scale, 0.5).longitude), east = Math.min(180, unproject(x + width / 2 / scale, 0.5).longitude);
  return {west, south: south.latitude, east, north: north.latitude};
}

// The view that shows a box with some space around it.
export function fitBox({west, south, east, north}, window) {
  const [left, top] = project(north, west), [right, bottom] = project(south, east);
  const scale = 0.7 * Math.min(window.width / Math.max(right - left, 1e-9), window.height / Math.max(bottom - top, 1e-9));
  return clampView({x: (left + right) / 2, y: (top + bottom) / 2, scale}, window);
}

// {west, south, east, north} around boxes.
const joinBoxes = (boxes) => ({
  west: Math.min(...boxes.map(({west}) => west)), south: Math.min(...boxes.map(({south}) => south)),
  east: Math.max(...boxes.map(({east}) => east)), north: Math.max(...boxes.map(({north}) => north)),
});

// The view that a map opens with: all boxes with some space around them, no nearer than a region.
export function fitAll(boxes, window) {
  const view = fitBox(joinBoxes(boxes), window);
  return clampView({...view, scale: Math.min(view.scale, toScale(REGION_ZOOM))}, window);
}

// How far a box reaches from its middle, in km.
export function measureReach({west, south, east, north}) {
  const middle = (((south + north) / 2) * Math.PI) / 180;
  const [dx, dy] = [((east - west) / 2) * Math.cos(middle), (north - south) / 2];
  return (Math.hypot(dx, dy) * KM_AROUND) / 360;
}

// near:41.15,-8.61~5km around a box, a little wider; null where that is more than 500 km.
export function nearBox(box) {
  const km = Math.max(0.2, Math.ceil(measureReach(box) * 11) / 10);
  if (km > 500) return null;
  return `${((box.south + box.north) / 2).toFixed(4)},${((box.west + box.east) / 2).toFixed(4)}~${km}km`;
}

// The outlines of world.json -> {lines, land}: lists of points [x, y] of the world; land: polygons of rings. What crosses
// 180 degrees lies on both sides, partly beyond the edges.
export function decodeWorld({scale: [sx, sy], translate: [tx, ty], arcs, land}) {
  const lines = arcs.map((arc) => {
    let x = 0, y = 0;
    return arc.map(([dx, dy]) => project((y += dy) * sy + ty, (x += dx) * sx + tx));
  });
  const join = (ids) => ids.flatMap((id, i) => (id < 0 ? [...lines[~id]].reverse() : lines[id]).slice(i ? 1 : 0));
  return {lines: lines.flatMap(splitAtEdge), land: land.flatMap((polygon) => copyOverEdge(polygon.map((ids) => unwrap(join(ids)))))};
}

function splitAtEdge(line) {
  const parts = [[]];
  line.forEach((point, i) => {
    if (i && Math.abs(point[0] - line[i - 1][0]) > 0.5) parts.push([]);
    parts.at(-1).push(point);
  });
  return parts;
}

// A ring without leaps over the edge; one around the pole is closed below the world.
function unwrap(ring) {
  let shift = 0;
  const found = ring.map(([x, y], i) => {
    const step = i ? x - ring[i - 1][0] : 0;
    if (Math.abs(step) > 0.5) shift -= Math.sign(step);
    return [x + shift, y];
  });
  const [first, last] = [found[0], found.at(-1)];
  return Math.abs(first[0] - last[0]) > 0.5 ? [...found, [last[0], 1], [first[0], 1]] : found;
}

function copyOverEdge(polygon) {
  const all = polygon.flat().map(([x]) => x), move = (by) => polygon.map((ring) => ring.map(([x, y]) => [x + by, y]));
  return [polygon, ...(Math.min(...all) < 0 ? [move(1)] : []), ...(Math.max(...all) > 1 ? [move(-1)] : [])];
}

// Clusters whose middles are less than some pixels apart, as one.
export function mergeClusters(clusters, scale, distance) {
  const merged = [];
  for (const cluster of [...clusters].sort((a, b) => b.photos - a.photos)) {
    const [x, y] = project(cluster.latitude, cluster.longitude);
    const near = merged.find(({point}) => Math.hypot(point[0] - x, point[1] - y) * scale < distance);
    if (!near) { merged.push({...cluster, point: [x, y]}); continue; }
    near.photos += cluster.photos;
    for (const [side, choose] of [["south", Math.min], ["west", Math.min], ["north", Math.max], ["east", Math.max]]) near[side] = choose(near[side], cluster[side]);
  }
  return merged;
}

// at=41.15,-8.61,12 -> a view; null where that is none.
export function readView(text) {
  const [latitude, longitude, zoom] = (text ?? "").split(",").map(Number);
  if (![latitude, longitude, zoom].every(Number.isFinite) || Math.abs(latitude) > 90 || Math.abs(longitude) > 180) return null;
  const [x, y] = project(latitude, longitude);
  return {x, y, scale: toScale(Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom)))};
}

export function writeView({x, y, scale}) {
  const {latitude, longitude} = unproject(x, y);
  return [latitude.toFixed(4), longitude.toFixed(4), toZoom(scale).toFixed(2)].join(",");
}
