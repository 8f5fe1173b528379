// What the details of a photo say of it, line by line.

export const formatBytes = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);

// [{title, text, link}]; link: a position. image: as /api/details gives it. row: of the grid, or null.
// exposure: as /api/exposure gives it.
export function describePhoto(image, row = null, exposure = {}) {
  const [first] = image.files, said = (row && image.files.find(({path}) => path === row.path)?.details) || first.details || {};
  const position = said.latitude === null || said.latitude === undefined ? null : {latitude: said.latitude, longitude: said.longitude};
  const lines = [
    ["Taken", formatDate(image, row, said)],
    ["Title", said.title], ["Caption", said.caption],
    ["Place", placeOf(said) || (position ? formatPosition(position) : ""), position],
    ["Position", position && placeOf(said) ? formatPosition(position) : "", position],
    ["People", list(said.people)], ["Keywords", list(said.keywords)],
    ["Rating", said.rating === -1 ? "rejected" : said.rating ? `${"★".repeat(Math.round(said.rating))} (${said.rating})` : ""],
    ["Camera", said.camera], ["Lens", said.lens], ["Exposure", formatExposure(exposure)],
    ["Size", `${image.width} × ${image.height} pixels, ${formatBytes(first.size_bytes)}`],
    ["Folder", first.path.slice(0, -first.name.length).replace(/(?<=.)[/\\]$/, "")],
    ["Modified", first.mtime_ns === null ? "" : new Date(first.mtime_ns / 1e6).toLocaleString("sv")],
  ];
  return lines.filter(([, text]) => text).map(([title, text, link = null]) => ({title, text, link}));
}

// An address of the map around a position.
export const mapsTo = ({latitude, longitude}) => new URLSearchParams({at: `${latitude.toFixed(5)},${longitude.toFixed(5)},12`});

const list = (names) => (names ?? []).join(", ");
const placeOf = (said) => [...new Set([said.where || said.location].filter(Boolean))].join("");
const formatPosition = ({latitude, longitude}) =>
  `${Math.abs(latitude).toFixed(5)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(5)}° ${longitude < 0 ? "W" : "E"}`;

// 1/250 s, f/2.8, ISO 100, 50 mm; whatever of it is known.
function formatExposure({exposure_seconds: seconds, aperture, iso, focal_length: length}) {
  const time = !seconds ? "" : seconds < 0.3 ? `1/${Math.round(1 / seconds)} s` : `${Number(seconds.toFixed(1))} s`;
  return [time, aperture && `f/${Number(aperture.toFixed(1))}`, iso && `ISO ${iso}`, length && `${Number(length.toFixed(1))} mm`].filter(Boolean).join(", ");
}

// The date of the file where its side-car has another, of the content, else the one in its name.
function formatDate(image, row, said) {
  if (said.taken) return `${said.taken.replace("T", " ")} (${said.taken_from})`;
  if (image.taken) return `${image.taken.replace("T", " ")} (${image.taken_from})`;
  return row?.taken_from === "name" ? `${row.taken.replace("T", " ")} (file name)` : "Date unknown";
}
