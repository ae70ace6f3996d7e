// Before anything is painted: light or dark, if somebody has chosen.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch (error) {
  // Storage is closed to us: then it is as the system says.
}
