// A slider beside each number field that is a share of users. Without this script the number alone does the same.

function addSlider(field) {
  const label = field.closest("form").querySelector(`label[for="${field.id}"]`);
  const slider = document.createElement("input");
  slider.type = "range";
  for (const name of ["min", "max", "value"]) slider.setAttribute(name, field.getAttribute(name));
  slider.value = field.value;
  slider.setAttribute("aria-labelledby", label.id);
  slider.addEventListener("input", () => {
    field.value = slider.value;
  });
  field.addEventListener("input", () => {
    if (field.value) slider.value = field.value;
  });
  field.before(slider);
}

function addSliders(within) {
  for (const field of within.querySelectorAll("[data-slider]")) {
    if (field.previousElementSibling?.type !== "range") addSlider(field);
  }
}

addSliders(document);
document.addEventListener("live:after", () => addSliders(document));
