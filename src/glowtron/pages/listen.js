"use strict";
const test = JSON.parse(document.getElementById("test").textContent);
const main = document.getElementById("main");
const status = document.getElementById("status");
const footer = document.getElementById("footer");
const player = new Player();
let session = null; // { rater, trials, done, code }
let away = 0;
let keys = {};
let keysOn = true;

document.addEventListener("visibilitychange", () => { if (document.hidden) away += 1; });
document.addEventListener("keydown", (event) => {
  if (!keysOn || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (/^(SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const action = keys[event.key.toLowerCase()];
  if (action) { event.preventDefault(); action(); }
});

// ---- where answers go ------------------------------------------------------------------------------------------

const server = {
  async call(path, method, body) {
    let answer;
    for (let attempt = 0; ; attempt++) {
      try {
        answer = await fetch(path, { method, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
        if (answer.status < 500) break;
      } catch (error) {
        if (attempt === 4) throw new Error("The server cannot be reached. Your last answer is not saved yet.");
      }
      if (attempt === 4) throw new Error("The server has a fault. Your last answer is not saved yet.");
      await new Promise((resolve) => setTimeout(resolve, 400 * 2 ** attempt));
    }
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.error);
    return value;
  },
  known() { return new URLSearchParams(location.search).get("rater"); },
  async resume(id) { return this.call("api/raters/" + encodeURIComponent(id), "GET"); },
  async begin(about) {
    const begun = await this.call("api/raters", "POST", about);
    history.replaceState(null, "", "?rater=" + encodeURIComponent(begun.rater));
    return begun;
  },
  async save(part, trial, answer) {
    const path = "api/raters/" + encodeURIComponent(session.rater) + "/answers";
    return (await this.call(path, "POST", { part, trial, answer })).code;
  },
  async forget() { await this.call("api/raters/" + encodeURIComponent(session.rater), "DELETE"); history.replaceState(null, "", "?"); },
  async clip(id) {
    const answer = await fetch("clips/" + id);
    if (!answer.ok) throw new Error("A clip could not be loaded. Please reload the page.");
    return answer.arrayBuffer();
  },
};

// The page without a server: answers stay in this browser until they are handed over as a file.
const file = {
  place: "glowtron-listen-" + test.id,
  read() { try { return JSON.parse(localStorage.getItem(this.place)); } catch (error) { return null; } },
  write(kept) { localStorage.setItem(this.place, JSON.stringify(kept)); },
  known() { return this.read() && this.read().rater; },
  state(kept) {
    const trials = test.sessions[kept.session % test.sessions.length];
    const done = kept.answers.map(({ part, trial }) => ({ part, trial }));
    const whole = done.length === trials.length + test.headphones.length;
    return { rater: kept.rater, session: kept.session, trials, done, code: whole ? test.code : null };
  },
  async resume() { return this.state(this.read()); },
  async begin(about) {
    const random = crypto.getRandomValues(new Uint8Array(9));
    const rater = btoa(String.fromCharCode(...random)).replace(/\+/g, "-").replace(/\//g, "_");
    const asked = new URLSearchParams(location.search).get("session");
    const drawn = crypto.getRandomValues(new Uint32Array(1))[0] % test.sessions.length;
    const number = /^\d+$/.test(asked || "") ? Number(asked) % test.sessions.length : drawn;
    const kept = { test: test.id, rater, session: number, about, answers: [] };
    this.write(kept);
    return this.state(kept);
  },
  async save(part, trial, answer) {
    const kept = this.read();
    if (!kept.answers.some((one) => one.part === part && one.trial === trial)) kept.answers.push({ part, trial, answer });
    this.write(kept);
    return this.state(kept).code;
  },
  async forget() { localStorage.removeItem(this.place); },
  async clip(id) {
    const text = atob(test.audio[id]);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes.buffer;
  },
};
const backend = test.audio ? file : server;

// ---- parts of the page -----------------------------------------------------------------------------------------

function say(text, wrong) {
  status.textContent = text;
  status.className = wrong ? "wrong" : "";
}

function show(heading, ...children) {
  player.stop();
  player.onchange = () => {};
  keys = {};
  say("");
  main.replaceChildren(element("h1", {}, heading), ...children);
  main.focus();
  window.scrollTo(0, 0);
}

function playButton(index, label) {
  const sign = element("span", { class: "sign", "aria-hidden": "true" }, "▶");
  const tick = element("span", { class: "tick", "aria-hidden": "true" });
  const fill = element("i");
  const button = element(
    "button", { type: "button", class: "play", "aria-pressed": "false", onclick: () => player.toggle(index) },
    sign, element("span", {}, label), tick, element("span", { class: "bar", "aria-hidden": "true" }, fill),
  );
  const refresh = () => {
    const mine = player.playing && player.active === index;
    const heard = player.heard(index);
    button.setAttribute("aria-pressed", String(mine));
    button.setAttribute("aria-label", `${mine ? "Stop" : "Play"} ${label}${heard ? ", heard" : ""}`);
    sign.textContent = mine ? "■" : "▶";
    tick.textContent = heard ? "✓" : "";
    const length = player.clips[index].buffer.duration;
    fill.style.width = mine ? `${Math.min(100, (100 * player.position) / length)}%` : "0";
  };
  refresh();
  return { button, refresh };
}

function radios(legend, options, onchoose) {
  const set = element("fieldset", {}, element("legend", {}, legend));
  const counted = options.every(([value]) => Number.isInteger(value) && value > 0);
  options.forEach(([value, words], place) => {
    const input = element("input", { type: "radio", name: "answer", value, onchange: () => onchoose(value) });
    // The value itself where values are counts, as in MOS; else the place in the list.
    const key = String(counted ? value : place + 1);
    set.append(element("label", { class: "choice" }, input, element("span", {}, words), element("span", { class: "key", "aria-hidden": "true" }, key)));
    keys[key] = () => { input.checked = true; input.focus(); onchoose(value); };
  });
  return set;
}

function sliders(names, buttons, onrate) {
  const ticks = [...test.labels].reverse().map(([, words]) => element("span", {}, words));
  const rows = [element("div", { class: "scale", "aria-hidden": "true" }, element("div", {}, ...ticks))];
  const middle = (test.low + test.high) / 2;
  const fifth = (value) => {
    const place = Math.min(4, Math.floor((5 * (value - test.low)) / (test.high - test.low)));
    return test.labels[4 - place][1];
  };
  names.forEach((name, index) => {
    const shown = element("output", {}, "–");
    const input = element("input", {
      type: "range", min: test.low, max: test.high, step: test.step, value: middle,
      "aria-label": `Rating of ${name}`, "aria-valuetext": "not rated",
    });
    const row = element("div", { class: "row open" }, buttons[index].button, input, shown);
    const rate = () => {
      shown.textContent = input.value;
      input.setAttribute("aria-valuetext", `${input.value}, ${fifth(Number(input.value))}`);
      row.classList.remove("open");
      onrate(index, Number(input.value));
    };
    input.addEventListener("input", rate);
    // Letting go of a slider that stayed where it was rates, too.
    input.addEventListener("pointerup", rate);
    rows.push(row);
  });
  return element("div", {}, ...rows);
}

function progress(done, all) {
  document.getElementById("progress").hidden = false;
  const bar = document.getElementById("bar");
  bar.max = all;
  bar.value = done;
  document.getElementById("count").textContent = `${done} of ${all}`;
}

function showFooter() {
  footer.hidden = false;
  const link = backend === server ? location.href : null;
  const id = element("code", {}, session.rater);
  footer.replaceChildren(
    element("p", {}, "Your id: ", id, link ? ". Every answer is saved at once: keep this page's address to go on later. " : ". Every answer is saved in this browser at once. ",
      "No address and no name is kept. Tell the id to whoever runs this test to have your answers deleted later, or delete them now:"),
    element("button", { type: "button", class: "plain", onclick: remove }, "Delete my answers"),
    element("label", { class: "line" }, element("input", { type: "checkbox", checked: keysOn, onchange: (event) => { keysOn = event.target.checked; } }),
      "Keys: numbers choose an answer, letters play clips, Enter goes on"),
  );
}

async function remove() {
  if (!confirm("Delete all your answers? This cannot be undone.")) return;
  try {
    await backend.forget();
  } catch (error) {
    say(error.message, true);
    return;
  }
  session = null;
  footer.hidden = true;
  document.getElementById("progress").hidden = true;
  show("Deleted", element("p", {}, "Your answers are deleted. Thank you for your time."));
}

// ---- the way through the test ----------------------------------------------------------------------------------

function welcome() {
  const device = element("select", { id: "device" },
    ...["headphones", "earphones", "loudspeakers"].map((name) => element("option", { value: name }, name)));
  const native = element("input", { type: "checkbox", id: "native" });
  const form = element("form", { onsubmit: async (event) => {
    event.preventDefault();
    begin.disabled = true;
    try {
      session = await backend.begin({ device: device.value, native: native.checked });
      showFooter();
      await proceed(true);
    } catch (error) { say(error.message, true); begin.disabled = false; }
  } });
  const begin = element("button", { class: "main" }, "Begin");
  form.append(
    element("label", { class: "line" }, "I listen with", device),
    element("label", { class: "line" }, native, "The language of the clips is my first language"),
    element("div", { class: "actions" }, begin),
  );
  show(test.title, element("p", {}, test.instructions), element("p", { class: "hint" }, "No address and no name is kept. You may stop at any time."), form);
}

function welcomeBack() {
  const go = element("button", { type: "button", class: "main", onclick: async () => { go.disabled = true; await proceed(false); } }, "Go on");
  show("Welcome back", element("p", {}, "Your answers so far are saved."), element("div", { class: "actions" }, go));
  showFooter();
}

// What is left to do, in order. Set-up and training come again after a break, as ears and volume may have changed.
async function proceed(fresh) {
  const left = (part, n) => [...Array(n).keys()].filter((k) => !session.done.some((one) => one.part === part && one.trial === k));
  const headphones = left("headphones", test.headphones.length);
  const trials = left("trial", session.trials.length);
  const answered = session.trials.length - trials.length;
  let code = session.code;
  if (trials.length + headphones.length) {
    if (test.volume) await setVolume();
    for (const number of headphones) code = await headphoneTrial(number);
    if (test.training.length && (fresh || answered === 0)) {
      await message("Practice", "A few trials to learn the range of what you will hear. They do not count.");
      for (const [k, trial] of test.training.entries()) await rate(trial, `Practice ${k + 1} of ${test.training.length}`, async () => null);
      await message("Now it counts", `${session.trials.length} trials follow.`);
    }
    for (const [k, number] of trials.entries()) {
      progress(answered + k, session.trials.length);
      const save = async (answer) => { code = await backend.save("trial", number, answer); };
      await rate(session.trials[number], test.question, save, trials[k + 1]);
    }
  }
  progress(session.trials.length, session.trials.length);
  finish(code);
}

function message(heading, text) {
  return new Promise((resolve) => {
    const go = element("button", { type: "button", class: "main", onclick: resolve }, "Go on");
    keys.enter = () => go.click();
    show(heading, element("p", {}, text), element("div", { class: "actions" }, go));
    keys.enter = () => go.click();
  });
}

async function load(ids) {
  say("Loading…");
  await player.load(await Promise.all(ids.map((id) => backend.clip(id))));
  say("");
}

async function setVolume() {
  await load([test.volume]);
  await new Promise((resolve) => {
    const { button, refresh } = playButton(0, "noise");
    const go = element("button", { type: "button", class: "main", onclick: resolve }, "The volume is set");
    show("Set the volume", element("p", {}, "Play this noise, and set the volume of your device so that it is as loud as somebody who talks to you. Do not change it after this."),
      element("div", { class: "clips" }, button), element("div", { class: "actions" }, go));
    attend([refresh], () => {});
  });
}

async function headphoneTrial(number) {
  await load([test.headphones[number]]);
  const began = performance.now();
  return new Promise((resolve) => {
    let chosen = null;
    const play = playButton(0, "three tones");
    const form = trialForm(async () => {
      const answer = { values: [chosen], plays: [player.clips[0].plays], seconds: (performance.now() - began) / 1000, away };
      away = 0;
      resolve(await backend.save("headphones", number, answer));
    });
    show(`Which tone is softest? (${number + 1} of ${test.headphones.length})`, element("p", {}, "Three tones follow each other. One of them is softer than the others."),
      element("div", { class: "clips" }, play.button), form.node);
    const options = [[0, "The first"], [1, "The second"], [2, "The third"]];
    form.node.prepend(radios("The softest tone is", options, (value) => { chosen = value; refresh(); }));
    const refresh = () => form.refresh(lacking(chosen !== null));
    keys.p = () => player.toggle(0);
    attend([play.refresh], refresh);
  });
}

// Keeps buttons and hints as the player is.
function attend(refreshers, refresh) {
  const all = () => { refreshers.forEach((one) => one()); refresh(); };
  player.onchange = all;
  all();
  const shown = main.firstChild;
  const tick = () => {
    if (main.firstChild !== shown) return;
    if (player.playing) all();
    setTimeout(tick, 60);
  };
  tick();
}

function lacking(answered) {
  const unheard = player.clips.filter((_, index) => !player.heard(index)).length;
  if (unheard) return unheard === 1 && player.clips.length === 1 ? "Listen to the whole clip first." : `Listen to every clip to its end: ${unheard} left.`;
  return answered ? "" : "Choose an answer.";
}

function trialForm(submit) {
  const hint = element("p", { class: "hint", id: "hint" });
  const next = element("button", { class: "main", disabled: true, "aria-describedby": "hint" }, "Next");
  let busy = false;
  const node = element("form", { onsubmit: async (event) => {
    event.preventDefault();
    if (busy || next.disabled) return;
    busy = true;
    next.disabled = true;
    try { await submit(); } catch (error) { say(error.message + " Press Next to try again.", true); next.disabled = false; }
    busy = false;
  } }, element("div", { class: "actions" }, next, hint));
  keys.enter = () => node.requestSubmit();
  return { node, refresh: (missing) => { if (!busy) next.disabled = missing !== ""; if (hint.textContent !== missing) hint.textContent = missing; } };
}

async function rate(trial, heading, save, following) {
  const ids = trial.reference ? [trial.reference, ...trial.clips] : trial.clips;
  await load(ids);
  const began = performance.now();
  await new Promise((resolve) => {
    const values = test.kind === "page" ? trial.clips.map(() => null) : [null];
    const letter = (k) => String.fromCharCode(65 + k);
    const names = test.kind === "page" ? trial.clips.map((_, k) => `clip ${letter(k)}`) : test.kind === "pair" ? ["first clip", "second clip"] : ["clip"];
    const labels = trial.reference ? ["reference", ...names] : names;
    const buttons = labels.map((label, index) => playButton(index, label));
    const first = trial.reference ? 1 : 0;
    const complete = () => form.refresh(lacking(values.every((value) => value !== null)));
    const form = trialForm(async () => {
      const plays = player.clips.slice(first).map((clip) => clip.plays);
      await save({ values, plays, seconds: (performance.now() - began) / 1000, away });
      away = 0;
      resolve();
    });
    show(heading);
    keys.enter = () => form.node.requestSubmit();
    player.loop = test.kind === "page";
    if (test.kind === "page") {
      if (trial.reference) main.append(element("div", { class: "clips" }, buttons[0].button));
      form.node.prepend(sliders(names, buttons.slice(first), (index, value) => { values[index] = value; complete(); }));
      if (trial.reference) keys.r = () => player.toggle(0);
      names.forEach((_, k) => { if (letter(k) !== "R") keys[letter(k).toLowerCase()] = () => player.toggle(first + k); });
    } else {
      main.append(element("div", { class: "clips" }, ...buttons.map(({ button }) => button)));
      form.node.prepend(radios(heading === test.question ? "Your answer" : test.question, test.labels, (value) => { values[0] = value; complete(); }));
      if (test.kind === "single") keys.p = () => player.toggle(0);
      else { keys.a = () => player.toggle(0); keys.b = () => player.toggle(1); }
    }
    main.append(form.node);
    attend(buttons.map(({ refresh }) => refresh), complete);
    if (following !== undefined) prefetch(session.trials[following]);
  });
  player.loop = false;
}

// The browser keeps the next trial's clips, so that nobody waits for them.
function prefetch(trial) {
  if (backend === server) [trial.reference, ...trial.clips].forEach((id) => { if (id) fetch("clips/" + id).catch(() => {}); });
}

function finish(code) {
  const parts = [element("p", {}, "That was all. Every answer is saved.")];
  if (backend === file) {
    const text = localStorage.getItem(file.place);
    const link = element("a", { class: "main", id: "answers", download: `answers-${session.rater}.json`, href: URL.createObjectURL(new Blob([text], { type: "application/json" })) }, "Save the answers as a file");
    parts[0].textContent = "That was all. Your answers are in this browser only: please save them as a file and send it to whoever asked you.";
    parts.push(element("p", {}, link), element("label", { for: "copy" }, "Or copy them from here:"), element("textarea", { id: "copy", readonly: true }, text));
  }
  if (code) parts.push(element("p", {}, "Completion code:"), element("p", { class: "code", id: "code" }, code));
  show("Thank you", ...parts);
}

(async () => {
  const known = backend.known();
  if (!known) return welcome();
  try { session = await backend.resume(known); } catch (error) {
    welcome();
    say(error.message, true);
    return;
  }
  if (session.code) { showFooter(); finish(session.code); } else welcomeBack();
})();
