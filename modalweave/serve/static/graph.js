// Draws the graphs of a page: what is asked for by data-graph, or what stands in #drawn. Click expands, double click opens.
"use strict";
(() => {
  const PAGES = { Item: "/item?", User: "/user?" };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const style = () => [
    { selector: "node", style: {
      "background-color": (n) => colour(n.data("label").toLowerCase()) || colour("soft"), width: 26, height: 26,
      label: "data(caption)", "font-size": 11, color: colour("ink"), "text-valign": "bottom", "text-margin-y": 3,
      "text-wrap": "wrap", "text-max-width": 110, "text-background-color": colour("raised"), "text-background-opacity": 0.75,
      "min-zoomed-font-size": 7 } },
    { selector: "node[picture]", style: {
      "background-image": (n) => `/media/${n.data("picture")}`, "background-fit": "cover", width: 46, height: 46,
      shape: "round-rectangle", "border-width": 3, "border-color": (n) => colour(n.data("label").toLowerCase()) } },
    { selector: "node[?marked]", style: { "border-width": 5, "border-color": colour("link"), width: 54, height: 54 } },
    { selector: "node:selected", style: { "overlay-color": colour("link"), "overlay-opacity": 0.2 } },
    { selector: "edge", style: {
      width: 1.5, "line-color": colour("soft"), opacity: 0.6, "curve-style": "bezier", "target-arrow-shape": "triangle",
      "target-arrow-color": colour("soft"), "arrow-scale": 0.8, label: "data(type)", "font-size": 8, color: colour("soft"),
      "text-rotation": "autorotate", "min-zoomed-font-size": 9 } },
  ];
  const elements = (found) => [
    ...found.nodes.map((n) => ({ data: { ...n, id: n.key, name: n.id, picture: n.picture || undefined } })),
    ...found.links.map((l) => ({ data: { id: `${l.source} ${l.type} ${l.target} ${l.properties.relation || ""}`, ...l } })),
  ];
  const layout = (fixed, random) => ({
    name: "fcose", animate: false, randomize: random, quality: "default", nodeSeparation: 90, idealEdgeLength: 90,
    nodeDimensionsIncludeLabels: true, fixedNodeConstraint: fixed });
  const open = (node) => {
    const { label, name } = node.data();
    if (name) location.href = PAGES[label] ? PAGES[label] + new URLSearchParams({ id: name })
                                           : "/graph?" + new URLSearchParams({ label, id: name });
  };

  async function draw(canvas) {
    const told = canvas.parentElement.querySelector(".told");
    const held = document.getElementById("drawn");
    let found;
    try {
      found = held ? JSON.parse(held.textContent) : await ask(canvas.dataset.graph);
    } catch (error) {
      told.textContent = error.message;
      return;
    }
    const graph = cytoscape({ container: canvas, elements: elements(found), style: style(), minZoom: 0.1, maxZoom: 3,
      layout: layout(undefined, true) });
    graph.on("dbltap", "node", (event) => open(event.target));
    graph.on("onetap", "node", async (event) => {
      const node = event.target, { label, name } = node.data();
      told.textContent = node.data("caption");
      if (!name || node.scratch("_expanded")) return;
      try {
        const more = await ask("/api/graph?" + new URLSearchParams({ label, id: name, limit: 12 }));
        node.scratch("_expanded", true);
        const before = graph.nodes().map((n) => ({ nodeId: n.id(), position: { ...n.position() } }));
        const added = graph.add(elements(more).filter((e) => graph.getElementById(e.data.id).empty()));
        added.nodes().positions(() => ({ x: node.position("x") + 80 * (Math.random() - 0.5), y: node.position("y") + 80 * (Math.random() - 0.5) }));
        if (added.nonempty()) graph.layout(layout(before, false)).run();
        canvas.dataset.drawn = String(graph.nodes().length);
      } catch (error) {
        told.textContent = error.message;
      }
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => graph.style(style()));
    canvas.dataset.drawn = String(graph.nodes().length);
  }

  async function ask(address) {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  addEventListener("DOMContentLoaded", () => document.querySelectorAll(".canvas").forEach(draw));
})();
