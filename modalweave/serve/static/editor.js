// The Cypher editor: colours, completion of the graph's own names by Ctrl-Space, a history that stays in this browser.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("query"), form = field.form, KEY = "modalweave.cypher";
  const words = JSON.parse(field.dataset.vocabulary);
  const complete = (editor) => {
    const at = editor.getCursor(), line = editor.getLine(at.ch === undefined ? 0 : at.line).slice(0, at.ch);
    const typed = /[\p{L}\p{N}_]*$/u.exec(line)[0], before = line.slice(0, line.length - typed.length);
    const kind = /\[[^\]]*:$|\|$/.test(before) ? words.types : /:$/.test(before) ? words.labels
      : /\.$/.test(before) ? words.properties : [...words.labels, ...words.types, "MATCH", "WHERE", "RETURN", "ORDER BY", "LIMIT"];
    const list = kind.filter((word) => word.toLowerCase().startsWith(typed.toLowerCase()));
    return { list, from: CodeMirror.Pos(at.line, at.ch - typed.length), to: at };
  };
  const editor = CodeMirror.fromTextArea(field, {
    mode: "application/x-cypher-query", lineWrapping: true, screenReaderLabel: form.querySelector("label").textContent,
    extraKeys: { "Ctrl-Enter": () => form.requestSubmit(), "Cmd-Enter": () => form.requestSubmit(), Tab: false, "Shift-Tab": false,
      "Ctrl-Space": (cm) => cm.showHint({ hint: complete, completeSingle: false }) } });
  const asked = JSON.parse(localStorage.getItem(KEY) || "[]");
  if (field.value.trim() && !document.querySelector("[role=alert]")) {
    localStorage.setItem(KEY, JSON.stringify([field.value, ...asked.filter((q) => q !== field.value)].slice(0, 30)));
  }
  const section = document.querySelector(".history"), list = section.querySelector("ul");
  for (const query of asked.slice(0, 10)) {
    const link = document.createElement("a"), entry = document.createElement("li");
    link.href = "/cypher?" + new URLSearchParams({ query });
    link.textContent = query.replace(/\s+/g, " ").trim().slice(0, 120);
    entry.append(link);
    list.append(entry);
  }
  section.hidden = !asked.length;
  form.addEventListener("submit", () => editor.save());
});
