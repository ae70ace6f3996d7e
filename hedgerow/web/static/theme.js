// Before anything is painted: light or dark, if somebody has chosen; and that there are scripts, so
// that what only they unfold may be folded.
"use strict";
document.documentElement.classList.add("js");
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch (error) {
  // Storage is closed to us: then it is as the system says.
}
