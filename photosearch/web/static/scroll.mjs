// A list that is higher than a browser's page can be: the page is shorter, small steps scroll as they are and long ones
// in proportion. Once scrolling rests, the page moves to where it belongs, and what is seen stays. At both ends the page
// is as long as the list, so that small steps reach them.

const MOST = 8_000_000; // pixels: Firefox ends at some 17 million
const END = 4; // windows at each end

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
    const end = END * this.view, left = this.shown - this.view - this.last, leftOfList = this.height - this.view - this.top;
    return this.isLonger && ((this.last < end / 2 && this.top > this.last + 1) || (left < end / 2 && leftOfList > left + 1));
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

  // List to page, between the ends.
  get #ratio() { return (this.height - this.view - 2 * END * this.view) / (this.shown - this.view - 2 * END * this.view); }

  #toList(last) {
    const end = END * this.view, left = this.shown - this.view - last;
    if (last < end) return last;
    return left < end ? this.height - this.view - left : end + (last - end) * this.#ratio;
  }

  #toPage(top) {
    const end = END * this.view, left = this.height - this.view - top;
    if (!this.isLonger || top < end) return top;
    return left < end ? this.shown - this.view - left : end + (top - end) / this.#ratio;
  }
}
