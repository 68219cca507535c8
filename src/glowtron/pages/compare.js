"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const player = new Player();
const status = document.getElementById("status");
const columns = data.columns;
let loaded = null; // the item whose clips the player holds
let current = null; // the item that keys are for

// ---- figures ---------------------------------------------------------------------------------------------------

const write = {
  mos_distill: (x) => x.toFixed(2),
  mos_p808: (x) => x.toFixed(2),
  mos_overall: (x) => x.toFixed(2),
  word_error_rate: (x) => (100 * x).toFixed(1) + " %",
  pesq: (x) => x.toFixed(2),
  stoi: (x) => x.toFixed(3),
};
const speedOf = (x) => (x < 0.1 ? x.toFixed(3) : x.toFixed(2));

function figures() {
  const names = Object.keys(data.measures).filter((name) => columns.some((column) => column.measures[name]));
  const timed = columns.some((column) => column.real_time_factor);
  if (!names.length && !timed) return document.getElementById("figures").remove();
  const head = element("tr", {}, element("th", { scope: "col" }, "System"));
  for (const name of names) head.append(element("th", { scope: "col" }, data.measures[name].title + (data.measures[name].more ? " ↑" : " ↓")));
  if (timed) head.append(element("th", { scope: "col" }, "Real-time factor ↓"));
  const rows = columns.map((column) => {
    const row = element("tr", { class: column.name === "real" ? "real" : null }, element("th", { scope: "row", title: column.about }, column.title));
    const cell = (measured, words, best) => row.append(measured
      ? element("td", { class: best ? "best" : null }, words(measured.mean), element("small", {}, `${words(measured.low)} – ${words(measured.high)}`))
      : element("td", {}, "–"));
    for (const name of names) cell(column.measures[name], write[name], data.best[name].includes(column.name));
    if (timed) cell(column.real_time_factor, speedOf, false);
    return row;
  });
  const table = element("table", {}, element("caption", { class: "visually-hidden" }, "Measures and speed of each system"), element("thead", {}, head), element("tbody", {}, ...rows));
  const notes = `Means over ${data.items.length} sentences, with 95 % intervals from drawing the sentences again. Bold: the best besides the recordings, and all whose interval reaches it. `
    + (names.length ? "DistillMOS, P.808 and P.835 (overall) are networks' estimates of listeners' opinions. PESQ and STOI compare waveforms, which is unfair to systems that draw their own phases. " : "")
    + (timed ? `Real-time factor: compute time / audio time on ${data.processor}, the least of three turns for each sentence; measured where the page was made.` : "");
  document.getElementById("figures").append(element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of figures" }, table), element("p", { class: "notes" }, notes));
}

// ---- sentences -------------------------------------------------------------------------------------------------

class Item {
  constructor(number) {
    this.number = number;
    this.item = data.items[number];
    this.order = columns.map((_, k) => k);
    this.cells = [];
    this.grid = element("div", { class: "grid" });
    this.tell = element("button", { type: "button", class: "reveal", onclick: () => { this.told = true; this.draw(); } }, "Tell which is which");
    this.node = element("article", { class: "item", "aria-labelledby": `item-${number}`, onfocusin: () => { current = this; } },
      element("h3", { id: `item-${number}` }, element("b", {}, String(number + 1)), this.item.text), this.grid, this.tell);
    this.told = false;
    this.draw();
  }

  // In blind mode columns have letters, in an order of each sentence's own.
  shuffle(blind) {
    this.told = false;
    this.order = columns.map((_, k) => k);
    if (blind) {
      for (let k = this.order.length - 1; k > 0; k--) {
        const other = Math.floor(Math.random() * (k + 1));
        [this.order[k], this.order[other]] = [this.order[other], this.order[k]];
      }
    }
    this.draw();
  }

  draw() {
    const hidden = document.body.classList.contains("blind") && !this.told;
    this.node.classList.toggle("told", this.told);
    this.tell.hidden = this.told;
    this.cells = this.order.map((column, place) => this.cell(column, place, hidden));
    this.grid.replaceChildren(...this.cells.map((cell) => cell.node));
    this.refresh();
  }

  cell(column, place, hidden) {
    const { name, title, clips } = columns[column];
    const shown = hidden ? `System ${String.fromCharCode(65 + place)}` : title;
    const sign = element("span", { class: "sign", "aria-hidden": "true" }, "▶");
    const button = element("button", { type: "button", class: "play", onclick: () => this.play(column) },
      sign, element("span", {}, shown), element("span", { class: "key", "aria-hidden": "true" }, String(place + 1)));
    const cursor = element("i");
    const image = hidden ? null : element("img", { alt: `Spectrogram of ${title}`, loading: "lazy", src: "data:image/png;base64," + data.spectrograms[name][this.number] });
    const picture = element("div", { class: "picture", onclick: (event) => {
      const box = picture.getBoundingClientRect();
      this.play(column, ((event.clientX - box.left) / box.width) * data.seconds[name][this.number]);
    } }, image, cursor);
    const measures = clips[this.number].measures;
    const words = [["mos_distill", "DistillMOS"], ["word_error_rate", "word errors"]]
      .filter(([key]) => measures[key] != null)
      .map(([key, label]) => `${label} ${write[key](measures[key])}`);
    const node = element("div", { class: "cell" }, button, picture, hidden ? null : element("p", {}, words.join(", ") || `${data.seconds[name][this.number].toFixed(1)} s`));
    return { column, node, button, sign, cursor, shown };
  }

  async play(column, place) {
    current = this;
    const asked = (this.asked = (this.asked || 0) + 1);
    if (loaded !== this) {
      status.textContent = "Loading";
      const before = loaded;
      loaded = this;
      await player.load(columns.map(({ name }) => bytes(data.sound[name][this.number])));
      if (before) before.refresh();
      if (loaded !== this || asked !== this.asked) return;
    }
    player.onchange = () => this.refresh();
    if (place === undefined) player.toggle(column);
    else {
      if (!player.playing || player.active !== column) player.play(column);
      player.seek(place);
    }
    const { shown } = this.cells.find((cell) => cell.column === column);
    status.textContent = player.playing ? `Playing ${shown}` : "Stopped";
  }

  refresh() {
    const mine = loaded === this;
    this.node.classList.toggle("paused", mine && !player.playing && player.position > 0);
    for (const { column, node, button, sign, cursor, shown } of this.cells) {
      const on = mine && player.playing && player.active === column;
      node.classList.toggle("on", on);
      sign.textContent = on ? "■" : "▶";
      button.setAttribute("aria-pressed", String(on));
      button.setAttribute("aria-label", `${on ? "Stop" : "Play"} ${shown}, sentence ${this.number + 1}`);
      const length = data.seconds[columns[column].name][this.number];
      cursor.style.left = mine ? `${Math.min(100, (100 * player.position) / length)}%` : "0";
    }
  }
}

function bytes(text) {
  const raw = atob(text);
  const made = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) made[k] = raw.charCodeAt(k);
  return made.buffer;
}

const items = data.items.map((_, number) => new Item(number));
document.getElementById("items").append(element("h2", {}, "Sentences"), ...items.map((item) => item.node));
figures();
current = items[0];

document.getElementById("about").textContent =
  `The same ${data.items.length} sentences, which the training of ${data.voice} has not seen, by ${columns.length} systems. All are equally loud.`;
document.getElementById("footer").textContent = `Made by glowtron ${data.glowtron} on ${data.made_at}, seed ${data.seed}.`;
document.getElementById("blind").addEventListener("change", (event) => {
  player.stop();
  document.body.classList.toggle("blind", event.target.checked);
  items.forEach((item) => item.shuffle(event.target.checked));
});
document.getElementById("loop").addEventListener("change", (event) => { player.loop = event.target.checked; });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const cell = current.cells[Number(event.key) - 1];
  if (cell && event.target.tagName !== "INPUT") current.play(cell.column);
  else if (event.key === " " && !/^(BUTTON|INPUT)$/.test(event.target.tagName) && player.playing) {
    event.preventDefault();
    player.pause();
  }
});
(function tick() {
  if (loaded && player.playing) loaded.refresh();
  requestAnimationFrame(tick);
})();
