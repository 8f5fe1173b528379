// Of a page that is kept: the field that searches among its photos, by all that is written below them.
const field = document.querySelector("#among");
if (field) {
  const photos = [...document.querySelectorAll("figure")].map((each) => [each, each.textContent.toLowerCase()]);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [each, text] of photos) {
      each.hidden = !words.every((word) => text.includes(word));
      shown += !each.hidden;
    }
    document.querySelector("#shown").textContent = words.length ? `${shown.toLocaleString("en")} of ${photos.length.toLocaleString("en")} shown` : "";
  });
}
