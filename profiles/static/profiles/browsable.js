// Colours the answer. Forms that need another method than POST are sent by REST framework's ajax-form.js.
document.addEventListener("DOMContentLoaded", () => {
  if (window.prettyPrint) window.prettyPrint();
});
