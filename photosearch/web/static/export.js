// An exported page: the field that filters its photos by their captions.
const field = document.querySelector("#filter");
if (field) {
  const photos = [...document.querySelectorAll("figure")].map((figure) => [figure, figure.textContent.toLowerCase()]);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [figure, caption] of photos) {
      figure.hidden = !words.every((word) => caption.includes(word));
      shown += !figure.hidden;
    }
    const total = photos.length.toLocaleString("en");
    document.querySelector("#shown").textContent = words.length ? `${shown.toLocaleString("en")} of ${total} photos` : "";
  });
}
