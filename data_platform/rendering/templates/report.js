"use strict";
const box = document.getElementById("find"), tick = document.getElementById("trouble");
const none = document.getElementById("none");
const lines = [...document.querySelectorAll("details.series")];
const maps = [...document.querySelectorAll("section.exchange")];
function show() {
  const parts = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const line of lines) {
    const fits = parts.every((part) => line.dataset.words.includes(part));
    line.hidden = !fits || (tick.checked && !line.dataset.trouble);
  }
  for (const map of maps) map.hidden = !map.querySelector("details.series:not([hidden])");
  none.hidden = maps.some((map) => !map.hidden);
}
document.querySelector(".filter").hidden = false;
box.addEventListener("input", show);
tick.addEventListener("change", show);
