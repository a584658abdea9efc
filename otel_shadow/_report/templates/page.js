"use strict";
(function () {
  var root = document.documentElement;
  var button = document.getElementById("theme");
  var themes = ["auto", "light", "dark"];
  function stored() { try { return localStorage.getItem("otel-shadow-theme"); } catch (error) { return null; } }
  function keep(theme) { try { localStorage.setItem("otel-shadow-theme", theme); } catch (error) { /* a page opened from a file may have no storage */ } }
  function show(theme) {
    if (theme === "auto") { root.removeAttribute("data-theme"); } else { root.setAttribute("data-theme", theme); }
    button.textContent = "Theme: " + theme;
    button.value = theme;
  }
  button.hidden = false;
  show(themes.indexOf(stored()) < 0 ? "auto" : stored());
  button.addEventListener("click", function () {
    var next = themes[(themes.indexOf(button.value) + 1) % themes.length];
    keep(next);
    show(next);
  });
  document.querySelectorAll("button.copy").forEach(function (copy) {
    if (!navigator.clipboard) { return; }
    copy.hidden = false;
    copy.addEventListener("click", function () {
      navigator.clipboard.writeText(copy.value).then(function () {
        copy.textContent = "copied";
        setTimeout(function () { copy.textContent = "copy"; }, 1500);
      });
    });
  });
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (details) { details.open = true; });
  });
})();
