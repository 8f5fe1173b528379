// A list that is higher than a browser's page can be: the page is shorter, small steps scroll as they are and long ones
// in proportion. Once scrolling rests, the page moves to where it belongs, and what is seen stays.

const MOST = 8_000_000; // pixels: Firefox ends at some 17 million

export class ScrollMap {
  constructor(most = MOST) {
    Object.assign(this, {most, height: 0, view: 0, last: 0, top: 0});
  }

  // height: of the list, view: of the window, in pixels. The height of the page is `shown` then.
  resize(height, view) {
    Object.assign(this, {height, view});
    if (!this.isLonger) this.top = this.last;
  }

  get shown() { return Math.min(this.height, this.most); }

  get isLonger() { return this.height > this.most; }

  // How much further down the list is than the page.
  get offset() { return this.top - this.last; }

  // The page was scrolled to `last`, from the list's beginning -> where the list is seen from.
  scroll(last) {
    const by = last - this.last;
    this.last = last;
    if (!this.isLonger || last <= 0) this.top = last;
    else if (last >= this.shown - this.view) this.top = this.#toList(last);
    else if (Math.abs(by) <= 2 * this.view) this.top = Math.min(this.height - this.view, Math.max(0, this.top + by));
    else this.top = this.#toList(last);
    return this.top;
  }

  // Whether the page would end before the list does.
  get isUrgent() {
    return this.isLonger && ((this.last < this.view && this.top > 2 * this.view)
      || (this.last > this.shown - 2 * this.view && this.top < this.height - 3 * this.view));
  }

  // Where the page belongs, as it is scrolled to now; null where it is there.
  settle() {
    const last = Math.round(this.#toPage(this.top));
    if (!this.isLonger || Math.abs(last - this.last) < 2) return null;
    this.last = last;
    return last;
  }

  // Go to a height of the list -> where the page has to be scrolled to.
  jump(top) {
    this.top = Math.min(top, Math.max(0, this.height - this.view));
    this.last = Math.round(this.#toPage(this.top));
    if (!this.isLonger) this.top = this.last;
    return this.last;
  }

  get #ratio() { return (this.height - this.view) / (this.shown - this.view); }

  #toList(last) {
    const end = this.shown - this.view;
    return last > end ? this.height - this.view + last - end : last * this.#ratio;
  }

  #toPage(top) {
    if (!this.isLonger || top <= 0) return top;
    return Math.min(top / this.#ratio, this.shown - this.view);
  }
}
