// A photo, fitted or as large as its pixels: wheel, pinch, double click and drag. From some size on the photo itself is
// shown in place of its thumbnail, where a browser can read its format.
import {make, thumbnailUrl} from "./api.js";

const MAX = 8; // times its own pixels
const ENLARGED = 2; // a small photo, fitted
const WHEEL = 1.0015, SHOWN = 1.1; // the share of the thumbnail's pixels beyond which the photo is fetched

export class Zoom {
  // root: the window, canvas: what is moved in it, with the photo and boxes, button: between fitted and 1:1.
  constructor(root, canvas, image, button) {
    Object.assign(this, {root, canvas, image, button, pointers: new Map()});
    button.addEventListener("click", () => this.toggle());
    root.addEventListener("dblclick", (event) => { if (!event.target.closest("button")) this.toggle(event); });
    root.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(this.scale * WHEEL ** -event.deltaY, event); }, {passive: false});
    root.addEventListener("pointerdown", (event) => this.start(event));
    root.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) root.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    new ResizeObserver(() => { if (this.width) { if (this.isFitted) this.fit(); else this.draw(); } }).observe(root);
    image.addEventListener("error", () => {
      if (this.image.src.includes("/originals/")) this.image.src = thumbnailUrl(this.imageId, true); // no browser reads it
      else this.showBroken(true);
    });
    this.broken = make("p", {className: "broken", hidden: true}, "This photo can't be opened.");
    root.append(this.broken);
  }

  show(imageId, {width, height}) {
    Object.assign(this, {imageId, width, height, isOriginal: false});
    this.showBroken(false);
    this.image.src = thumbnailUrl(imageId, true);
    this.fit();
  }

  showBroken(isBroken) {
    this.broken.hidden = !isBroken;
    this.canvas.hidden = isBroken;
  }

  // boxes: [{text, left, top, width, height}], as shares of the photo.
  showBoxes(boxes) {
    for (const old of this.canvas.querySelectorAll(".text-box")) old.remove();
    this.canvas.append(...boxes.map(({text, left, top, width, height}) => {
      const box = make("span", {className: "text-box", title: text});
      for (const [name, share] of Object.entries({left, top, width, height})) box.style[name] = `${100 * share}%`;
      return box;
    }));
  }

  get fitted() { return Math.min(this.root.clientWidth / this.width, this.root.clientHeight / this.height, ENLARGED) || 1; }

  // One pixel of the photo on one of the screen.
  get natural() { return 1 / (devicePixelRatio || 1); }

  fit() {
    this.scale = this.fitted;
    this.isFitted = true;
    this.x = this.y = 0; // of the photo's middle, from the window's
    this.draw();
  }

  toggle(event = null) {
    if (this.isFitted) this.zoom(Math.max(this.natural, this.fitted * 1.01), event); else this.fit();
  }

  // To a scale, around the pointer.
  zoom(scale, event = null) {
    const to = Math.min(Math.max(scale, this.fitted), MAX * this.natural);
    if (to <= this.fitted) { this.fit(); return; }
    const box = this.root.getBoundingClientRect();
    const [dx, dy] = event ? [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2] : [0, 0];
    this.x = dx - (dx - this.x) * (to / this.scale);
    this.y = dy - (dy - this.y) * (to / this.scale);
    this.scale = to;
    this.isFitted = false;
    this.draw();
  }

  draw() {
    const [w, h] = [this.width * this.scale, this.height * this.scale];
    const limit = (at, size, view) => Math.min(Math.max(at, -Math.max(0, size - view) / 2), Math.max(0, size - view) / 2);
    this.x = limit(this.x, w, this.root.clientWidth);
    this.y = limit(this.y, h, this.root.clientHeight);
    this.canvas.style.width = `${w}px`;
    this.canvas.style.height = `${h}px`;
    this.canvas.style.transform = `translate(-50%, -50%) translate(${this.x}px, ${this.y}px)`;
    this.root.classList.toggle("zoomed", !this.isFitted);
    this.button.setAttribute("aria-pressed", String(!this.isFitted));
    const pixels = Math.max(w, h) * (devicePixelRatio || 1);
    if (!this.isOriginal && !this.isFitted && pixels > SHOWN * Math.max(this.image.naturalWidth, this.image.naturalHeight, 1)) {
      this.isOriginal = true;
      this.image.src = `/originals/${this.imageId}`;
    }
  }

  start(event) {
    if (event.target.closest("button")) return;
    this.pointers.set(event.pointerId, event);
    this.root.setPointerCapture(event.pointerId);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
    if (other) {
      const distance = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY) || 1;
      this.zoom(this.scale * (distance(event) / distance(before)),
        {clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2});
    } else if (!this.isFitted) {
      this.x += event.clientX - before.clientX;
      this.y += event.clientY - before.clientY;
      this.draw();
    }
    this.pointers.set(event.pointerId, event);
  }
}
