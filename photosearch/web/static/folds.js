// Where there is little room, filters and tools are folded away, each behind a button; else they are always there.
import {byId} from "./api.js";

const filters = byId("filters"), filtersButton = byId("filters-button"), optionsButton = byId("options-button");

export function showOptions(isShown = true) {
  document.body.classList.toggle("has-options", isShown);
  optionsButton.setAttribute("aria-expanded", isShown);
}

const update = () => filtersButton.setAttribute("aria-expanded", filters.open);

optionsButton.addEventListener("click", () => showOptions(!document.body.classList.contains("has-options")));
filtersButton.addEventListener("click", () => { filters.open = !filters.open; });
filters.addEventListener("toggle", update);
update();
