// Days and months of photos: sections of a grid, the marks of a scrubber, bars of a histogram. A day is 2019-05-31; of
// very many days there are months, 2019-05; '' is no date.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
export const NO_DATE = "No date";

// "May 2019", of a day or a month.
export function nameMonth(day) {
  const [year, month] = day.split("-");
  return day ? `${MONTHS[month - 1] ?? month} ${Number(year)}` : NO_DATE;
}

// "Friday, 31 May 2019"; of several days of one year "3–9 May 2019", "28 April – 9 May 2019".
export function nameDays(first, last = first) {
  if (first.length < 10) return nameMonth(first);
  const [year, month, day] = first.split("-").map(Number), lastDay = Number(last.slice(8));
  if (first === last) return `${WEEKDAYS[new Date(Date.UTC(year, month - 1, day)).getUTCDay()]}, ${day} ${nameMonth(first)}`;
  return first.slice(0, 7) === last.slice(0, 7) ? `${day}–${lastDay} ${nameMonth(first)}` : `${day} ${MONTHS[month - 1]} – ${lastDay} ${nameMonth(last)}`;
}

// Sections of a grid: each day one, but neighbouring days of a year share a row if it has room for all of them.
// days: [[day, photos]] in the order of the grid.
export function groupDays(days, columns) {
  const sections = [];
  for (const [day, n] of days) {
    const group = sections.at(-1), isSameYear = group && day.length === 10 && group.to.slice(0, 4) === day.slice(0, 4);
    if (isSameYear && group.n + n <= columns) { group.n += n; group.to = day; } else sections.push({n, from: day, to: day});
  }
  return sections.map(({n, from, to}) => ({n, title: from < to ? nameDays(from, to) : nameDays(to, from)}));
}

// [{month, n, first}], first: the index of its first photo.
export function listMonths(days) {
  const months = [];
  let first = 0;
  for (const [day, n] of days) {
    const month = day.slice(0, 7), last = months.at(-1);
    if (last?.month === month) last.n += n; else months.push({month, n, first});
    first += n;
  }
  return months;
}

// Bars of a histogram: of each year, or of each month of one year, empty ones between them too. days: in any order.
// {label, title, value, n}; value: as taken: has it.
export function listBars(days, year = null) {
  const counts = new Map();
  for (const [day, n] of days) {
    const key = year === null ? day.slice(0, 4) : day.slice(0, 4) === year ? day.slice(0, 7) : "";
    if (key) counts.set(key, (counts.get(key) ?? 0) + n);
  }
  if (year !== null) {
    return MONTHS.map((name, i) => `${year}-${String(i + 1).padStart(2, "0")}`).map((value, i) =>
      ({label: MONTHS[i][0], title: nameMonth(value), value, n: counts.get(value) ?? 0}));
  }
  const years = [...counts.keys()].sort(), [first, last] = [Number(years[0]), Number(years.at(-1))];
  // Many years that lie far apart, as wrong clocks make them, stand side by side.
  const all = last - first < 60 ? Array.from({length: years.length ? last - first + 1 : 0}, (_, i) => String(first + i).padStart(4, "0")) : years;
  return all.map((value) => ({label: value, title: value, value, n: counts.get(value) ?? 0}));
}
