// The months of a list by date, beside it: a click or a drag goes to one of them.
import {make} from "./api.js";
import {listMonths, nameMonth} from "./days.mjs";
import {formatCount} from "./wording.mjs";

const LABEL_DISTANCE = 22; // pixels between years, at least

export class Scrubber {
  // root: a slider. jump(index): show that photo.
  constructor(root, jump) {
    Object.assign(this, {root, jump, months: [], current: 0, top: 0});
    this.hint = make("span", {className: "hint-month", hidden: true});
    root.addEventListener("pointerdown", (event) => {
      root.setPointerCapture(event.pointerId);
      this.isDragged = true;
      this.drag(event);
      event.preventDefault();
      root.focus({preventScroll: true});
    });
    root.addEventListener("pointermove", (event) => (this.isDragged ? this.drag(event) : this.showHint(this.find(event), event)));
    for (const name of ["pointerup", "pointercancel"]) root.addEventListener(name, () => { this.isDragged = false; this.hint.hidden = true; });
    root.addEventListener("pointerleave", () => { if (!this.isDragged) this.hint.hidden = true; });
    root.addEventListener("keydown", (event) => this.handleKey(event));
  }

  // days: as the grid shows them. layout: of the grid.
  show(days, layout) {
    this.months = days ? listMonths(days) : [];
    this.layout = layout;
    this.root.hidden = this.months.length < 2 || layout.height < 2 * innerHeight;
    if (this.root.hidden) return;
    this.shares = this.months.map(({first}) => layout.place(first).top / layout.height);
    let last = -Infinity, year = null;
    const marks = this.months.flatMap(({month}, i) => {
      const at = this.shares[i] * this.root.clientHeight, its = month.slice(0, 4);
      if (its === year) return [];
      year = its;
      const isNamed = at - last >= LABEL_DISTANCE;
      if (isNamed) last = at;
      const mark = make("span", {className: "year"}, isNamed ? its || "–" : "");
      mark.style.top = `${100 * this.shares[i]}%`;
      return [mark];
    });
    this.handle = make("span", {className: "handle"});
    this.root.replaceChildren(...marks, this.handle, this.hint);
    this.root.setAttribute("aria-valuemax", this.months.length - 1);
    this.update(this.top);
  }

  // The grid is seen from this height on.
  update(top) {
    this.top = top;
    if (this.root.hidden || !this.handle) return;
    const share = Math.min(1, Math.max(0, top / Math.max(1, this.layout.height - innerHeight)));
    this.handle.style.top = `${100 * share}%`;
    const index = this.layout.indexAt(top + 60);
    this.current = Math.max(0, this.months.findLastIndex(({first}) => first <= index));
    this.root.setAttribute("aria-valuenow", this.current);
    this.root.setAttribute("aria-valuetext", this.describe(this.current));
  }

  describe(i) { return `${nameMonth(this.months[i].month)}, ${formatCount(this.months[i].n, "photo")}`; }

  find(event) {
    const box = this.root.getBoundingClientRect(), share = (event.clientY - box.top) / box.height;
    return Math.max(0, this.shares.findLastIndex((each) => each <= share));
  }

  drag(event) {
    const i = this.find(event), box = this.root.getBoundingClientRect();
    const from = this.shares[i], to = this.shares[i + 1] ?? 1, {first, n} = this.months[i];
    const within = Math.min(1, Math.max(0, ((event.clientY - box.top) / box.height - from) / Math.max(1e-9, to - from)));
    this.showHint(i, event);
    this.jump(first + Math.min(n - 1, Math.floor(within * n)));
  }

  showHint(i, event) {
    if (event.pointerType === "touch" && !this.isDragged) return;
    this.hint.textContent = this.describe(i);
    this.hint.hidden = false;
    this.hint.style.top = `${event.clientY - this.root.getBoundingClientRect().top}px`;
  }

  handleKey(event) {
    const step = {ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1}[event.key];
    const year = {PageDown: 1, PageUp: -1}[event.key];
    let to = this.current;
    if (step) to += step;
    else if (year) {
      const its = this.months[this.current].month.slice(0, 4);
      while (to >= 0 && to < this.months.length && this.months[to].month.slice(0, 4) === its) to += year;
    } else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = this.months.length - 1;
    else return;
    event.preventDefault();
    event.stopPropagation();
    to = Math.min(this.months.length - 1, Math.max(0, to));
    this.jump(this.months[to].first);
  }
}
