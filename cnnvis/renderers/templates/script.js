"use strict";
// The page is complete without this script, which adds sliders and the sorting of tables.
(() => {
  const legends = new Map();
  for (const one of document.querySelectorAll("[data-colours]")) {
    const hex = one.dataset.colours, zero = Number(one.dataset.zero), parts = new Map();
    const count = hex.length / 6, far = Math.max(zero, 1 - zero) || 1;
    for (let i = 0; i < count; i++) {
      const part = Math.abs(i / (count - 1) - zero) / far;
      const key = parseInt(hex.slice(6 * i, 6 * i + 6), 16);
      if (!parts.has(key)) parts.set(key, part);
    }
    legends.set(one.dataset.legend, parts);
  }

  // A colour of the scale tells the size of the value that it stands for, as a part of the largest.
  function sizes(pixels, parts) {
    const found = new Float32Array(pixels.length / 4);
    for (let i = 0; i < found.length; i++) {
      const key = (pixels[4 * i] << 16) | (pixels[4 * i + 1] << 8) | pixels[4 * i + 2];
      found[i] = parts.has(key) ? parts.get(key) : 1;
    }
    return found;
  }

  function prepared(stack) {
    const map = stack.querySelector("img"), input = stack.closest(".row").querySelector("img.input");
    const canvas = document.createElement("canvas");
    canvas.width = map.naturalWidth;
    canvas.height = map.naturalHeight;
    canvas.setAttribute("aria-hidden", "true");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(map, 0, 0);
    const image = context.getImageData(0, 0, canvas.width, canvas.height);
    const alpha = image.data.filter((_, i) => i % 4 === 3);
    const found = { map, canvas, context, image, alpha, sizes: sizes(image.data, legends.get(stack.dataset.legend)) };
    // The map stays for its words; the input lies over it, and the drawn map over both.
    if (input) {
      const under = document.createElement("canvas");
      under.width = input.naturalWidth;
      under.height = input.naturalHeight;
      under.setAttribute("aria-hidden", "true");
      under.getContext("2d").drawImage(input, 0, 0);
      stack.append(under);
    }
    found.hasInput = Boolean(input);
    stack.append(canvas);
    return found;
  }

  function drawn(one, opacity, least) {
    for (let i = 0; i < one.sizes.length; i++) {
      one.image.data[4 * i + 3] = one.sizes[i] < least ? 0 : one.alpha[i];
    }
    one.context.putImageData(one.image, 0, 0);
    one.canvas.style.opacity = opacity;
    one.map.style.opacity = one.hasInput || least > 0 || opacity < 1 ? 0 : 1;
  }

  const form = document.querySelector(".sliders");
  if (form) {
    const overlay = form.querySelector("#overlay"), threshold = form.querySelector("#threshold");
    let stacks = null;
    const change = () => {
      stacks = stacks || [...document.querySelectorAll(".stack")].map(prepared);
      for (const input of [overlay, threshold]) {
        form.querySelector(`output[for=${input.id}]`).textContent = `${input.value} %`;
      }
      for (const one of stacks) drawn(one, overlay.value / 100, threshold.value / 100);
    };
    form.hidden = false;
    form.addEventListener("input", change);
    form.addEventListener("reset", () => setTimeout(change));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  const numeric = (text) => {
    const found = /-?\d[\d,]*\.?\d*(e[-+]?\d+)?/i.exec(text);
    return found ? Number(found[0].replace(/,/g, "")) : NaN;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.querySelectorAll("thead th")];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
        const text = (row) => (row.cells[place] ? row.cells[place].textContent.trim() : "");
        const rows = [...table.tBodies[0].rows];
        const numbers = rows.every((row) => text(row) === "" || !Number.isNaN(numeric(text(row))));
        rows.sort((a, b) => {
          const [one, other] = [text(a), text(b)];
          if (numbers) return sign * ((numeric(one) || 0) - (numeric(other) || 0));
          return sign * one.localeCompare(other, undefined, { numeric: true });
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
