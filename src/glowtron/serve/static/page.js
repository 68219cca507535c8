// The page: what is written becomes a request, what comes of it is heard, lit and drawn.

import { drawMel, drawPath, drawWave, Peaks } from "./drawing.js";
import { Player } from "./player.js";

const EXAMPLES = {
  greeting: "Good evening. I am a voice that was made on a computer without a graphics card, and I have been waiting to say so.",
  numbers: "On 3/5/2024 Dr. Smith paid $1,249.50 for 2.5 kg of tea at 10:30 a.m.; his phone number is (555) 010-4477.",
  homographs: "She read the record that they record. The wind will wind the tape, and close the door when you are close to it.",
  markup: "<speak>It was <emphasis>her</emphasis> idea.<break time=\"700ms\"/> <prosody rate=\"80%\" pitch=\"-2st\">Slowly and lower,</prosody> <prosody rate=\"120%\" pitch=\"+3st\">then quickly and higher.</prosody></speak>",
};
const DEFAULTS = { rate: 1, pitch: 0, pitch_range: 1, seed: 0 };
const SHOWN = {
  rate: (value) => `${value.toFixed(2)} ×`,
  pitch: (value) => `${value > 0 ? "+" : value < 0 ? "−" : "±"}${Math.abs(value)} st`,
  pitch_range: (value) => (value === 0 ? "none" : `${value.toFixed(1)} ×`),
};

const $ = (id) => document.getElementById(id);
const player = new Player(onEnd);
let known = { voices: [], limits: {}, formats: [] };
let key = sessionStorage.getItem("glowtron-key") ?? "";
let controller = null; // Of the request that runs.
let peaks = new Peaks();
let words = []; // Of the whole sound: {text, start_s, end_s, span, phones, element}.
let sentences = [];
let chosen = null; // The sentence that is looked at; null: the one that is heard.
let shown = -1;
let asked = null; // The settings of what is heard.
let lit = null;

// ---------------------------------------------------------------- settings

function settings() {
  const voice = known.voices.find((one) => one.id === $("voice").value);
  const found = { text: $("text").value, voice: $("voice").value, ssml: $("ssml").checked };
  for (const name of ["rate", "seed"]) found[name] = Number($(name).value);
  if (voice?.predicts_prosody) for (const name of ["pitch", "pitch_range"]) found[name] = Number($(name).value);
  return found;
}

function body(from, more) {
  const { text, rate, ssml, ...rest } = from;
  return JSON.stringify({ model: "glowtron", input: text, speed: rate, ...(ssml ? { ssml } : {}), ...rest, ...more });
}

function headers() {
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

function link() {
  const from = settings(), fields = new URLSearchParams();
  for (const [name, value] of Object.entries(from)) {
    if (name === "ssml" ? value : value !== DEFAULTS[name]) fields.set(name, name === "ssml" ? "1" : String(value));
  }
  return `${location.origin}${location.pathname}#${fields}`;
}

function readLink() {
  const fields = new URLSearchParams(location.hash.slice(1));
  if (fields.has("text")) $("text").value = fields.get("text");
  if (known.voices.some((one) => one.id === fields.get("voice"))) $("voice").value = fields.get("voice");
  for (const name of ["rate", "pitch", "pitch_range", "seed"]) {
    const value = Number(fields.get(name));
    if (fields.has(name) && Number.isFinite(value)) $(name).value = value;
  }
  $("ssml").checked = fields.get("ssml") === "1";
}

function show() {
  for (const name of Object.keys(SHOWN)) {
    const value = SHOWN[name](Number($(name).value));
    $(`${name}-out`).textContent = value;
    $(name).setAttribute("aria-valuetext", value.replace("×", "times").replace(" st", " semitones").replace("−", "minus "));
  }
  const voice = known.voices.find((one) => one.id === $("voice").value);
  for (const field of document.querySelectorAll(".prosody")) field.hidden = !voice?.predicts_prosody;
  $("voice-help").textContent = voice?.description ?? "";
  const n = $("text").value.length;
  $("count").textContent = `${n.toLocaleString("en")} character${n === 1 ? "" : "s"}`;
  const example = JSON.stringify({ input: "Hello.", voice: $("voice").value });
  $("curl").textContent = `curl ${location.origin}/v1/audio/speech -d '${example}' > hello.mp3`;
}

// ---------------------------------------------------------------- asking

class Refused extends Error {}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  $("key-form").hidden = answer.status !== 401;
  const told = await answer.json().catch(() => null);
  throw new Refused(told?.error?.message ?? `The server answers ${answer.status}.`);
}

async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

function bytes(base64) {
  const text = atob(base64), found = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
  return found;
}

function samples(base64) {
  const pcm = new DataView(bytes(base64).buffer), found = new Float32Array(pcm.byteLength / 2);
  for (let i = 0; i < found.length; i++) found[i] = pcm.getInt16(2 * i, true) / 32768;
  return found;
}

// ---------------------------------------------------------------- speaking

async function speak() {
  complain("");
  if (!$("text").value.trim()) {
    complain("There is nothing to say: write some text.");
    $("text").focus();
    return;
  }
  halt();
  asked = settings();
  const mine = (controller = new AbortController());
  const started = performance.now();
  let first = 0, ended = false;
  tell("Thinking …");
  busy(true);
  try {
    const answer = await ask("/page/speech", { method: "POST", headers: headers(), body: body(asked), signal: mine.signal });
    for await (const event of lines(answer)) {
      if (mine !== controller) return;
      if (event.type === "begin") begin(event.sample_rate);
      else if (event.type === "words") addWords(event.words);
      else if (event.type === "sound") {
        if (!first) {
          first = (performance.now() - started) / 1000;
          tell("Speaking.");
        }
        const piece = samples(event.pcm);
        player.add(piece);
        peaks.add(piece);
      } else if (event.type === "sentence") addSentence(event);
      else if (event.type === "done") {
        ended = true;
        player.end();
        $("made").textContent = `${event.duration_s.toFixed(1)} s of sound made in ${event.taken_s.toFixed(1)} s; first heard after ${first.toFixed(2)} s`;
      } else if (event.type === "error") throw new Refused(event.message);
    }
    if (!ended) throw new Refused("The sound broke off: the server ended the connection.");
  } catch (error) {
    if (mine !== controller || error.name === "AbortError") return;
    if (!(error instanceof Refused)) throw error;
    complain(error.message);
    tell("Not spoken.");
    player.end();
    busy(player.playing);
  } finally {
    if (mine === controller) controller = null;
    $("download").disabled = !ended;
  }
}

function begin(rate) {
  words = [];
  sentences = [];
  peaks = new Peaks();
  chosen = lit = null;
  shown = -1;
  $("listen").hidden = false;
  $("inside").hidden = true;
  $("made").textContent = "";
  const isMarkup = asked.ssml && asked.text.trimStart().startsWith("<speak");
  $("reading").replaceChildren(isMarkup ? "" : asked.text);
  player.begin(rate);
  requestAnimationFrame(frame);
}

function halt() {
  controller?.abort();
  controller = null;
  player.stop();
  busy(false);
}

function onEnd() {
  busy(false);
  tell(`Done: ${player.duration.toFixed(1)} seconds.`);
  frame();
}

function busy(speaking) {
  $("stop").disabled = !speaking;
  $("pause").disabled = !speaking;
  $("pause").textContent = "Pause";
}

function tell(text) { $("status").textContent = text; }

function complain(text) {
  $("alert").textContent = text;
  $("alert").hidden = !text;
}

// ---------------------------------------------------------------- reading along

function addWords(more) {
  const reading = $("reading");
  for (const word of more) {
    const element = word.span ? inText(word.span) : document.createElement("span");
    if (!word.span) {
      element.textContent = word.text;
      reading.append(element, " ");
    }
    if (!element) continue;
    const known = { ...word, element };
    element.addEventListener("click", () => seek(known.start_s));
    words.push(known);
  }
}

// The span of the text's characters: the words of "1985" share one.
function inText([start, end]) {
  let place = 0;
  for (const node of $("reading").childNodes) {
    const length = node.textContent.length;
    if (start < place + length) {
      if (node.nodeType !== Node.TEXT_NODE) return node;
      const range = document.createRange(), element = document.createElement("span");
      range.setStart(node, start - place);
      range.setEnd(node, Math.min(end - place, length));
      range.surroundContents(element);
      return element;
    }
    place += length;
  }
  return null;
}

function light(position) {
  const word = words.findLast((one) => one.start_s <= position && position < Math.max(one.end_s, one.start_s + 0.05));
  const element = player.playing ? word?.element ?? null : null;
  if (element === lit) return;
  lit?.classList.remove("heard");
  element?.classList.add("heard");
  lit = element;
  if (element) {
    const box = $("reading").getBoundingClientRect(), at = element.getBoundingClientRect();
    if (at.bottom > box.bottom || at.top < box.top) $("reading").scrollTop += at.top - box.top - box.height / 3;
  }
}

// ---------------------------------------------------------------- looking inside

function addSentence(event) {
  event.mel.data = bytes(event.mel.data);
  event.places = new Uint16Array(bytes(event.alignment).buffer);
  sentences.push(event);
  $("inside").hidden = false;
  if (shown < 0) showSentence(0);
  else showCount();
}

function showCount() {
  $("which").textContent = `Sentence ${shown + 1} of ${sentences.length}`;
  $("previous").disabled = shown <= 0;
  $("next").disabled = shown >= sentences.length - 1;
}

function showSentence(number) {
  shown = number;
  const sentence = sentences[number];
  showCount();
  $("said").textContent = sentence.normalized;
  $("mel").setAttribute("aria-label", `Mel spectrogram of the sentence: ${sentence.text}`);
  const rows = sentence.words.map((word) => {
    const row = document.createElement("tr");
    const phones = document.createElement("div");
    phones.className = "phones";
    word.marks = word.phones.map(([symbol, start_s, end_s]) => {
      const mark = document.createElement("span");
      mark.textContent = symbol;
      phones.append(mark);
      return { mark, start_s, end_s };
    });
    const from = document.createElement("span");
    from.className = `from ${word.source.replaceAll(" ", "-")}`;
    from.textContent = [word.source || "spelt", word.note].filter(Boolean).join(": ");
    const cells = [word.text.startsWith("{") ? "(phones)" : word.text, phones, from, `${word.start_s.toFixed(2)} s`];
    cells.forEach((content, i) => {
      const cell = document.createElement("td");
      cell.append(content);
      if (i === 3) cell.className = "number";
      row.append(cell);
    });
    word.row = row;
    return row;
  });
  $("words").replaceChildren(...rows);
  drawSentence();
}

function drawSentence() {
  if (shown < 0) return;
  const sentence = sentences[shown];
  drawMel($("mel"), sentence.mel);
  drawPath($("path"), sentence.places, sentence.symbols);
}

function follow(position) {
  if (!sentences.length) return;
  if (chosen === null) {
    const now = sentences.findLastIndex((one) => one.start_s <= position + 1e-6);
    if (now >= 0 && now !== shown) showSentence(now);
  }
  const sentence = sentences[shown];
  const share = (position - sentence.start_s) / sentence.duration_s;
  const inside = share >= 0 && share <= 1 && (player.playing || position > 0);
  for (const name of ["mel", "path"]) head(`${name}-head`, inside ? share : -1, $(name).clientWidth);
  for (const word of sentence.words) {
    const heard = player.playing && word.start_s <= position && position < word.end_s;
    word.row.classList.toggle("heard", heard);
    for (const { mark, start_s, end_s } of word.marks) {
      mark.classList.toggle("heard", heard && start_s <= position && position < end_s);
    }
  }
}

function head(id, share, width) {
  $(id).style.visibility = share < 0 ? "hidden" : "visible";
  $(id).style.transform = `translateX(${Math.min(share, 1) * (width - 2)}px)`;
}

// ---------------------------------------------------------------- each picture

function frame() {
  const position = player.position, duration = player.duration;
  const share = duration ? position / duration : 0;
  drawWave($("wave"), peaks, share);
  head("wave-head", duration ? share : -1, $("wave").clientWidth);
  $("clock").textContent = `${position.toFixed(1)} / ${duration.toFixed(1)} s`;
  $("seek").max = duration;
  if (document.activeElement !== $("seek") || player.playing) $("seek").value = position;
  $("seek").setAttribute("aria-valuetext", `${position.toFixed(1)} of ${duration.toFixed(1)} seconds`);
  light(position);
  follow(position);
  if (player.playing || controller) requestAnimationFrame(frame);
}

function seek(seconds) {
  chosen = null;
  player.play(Math.min(seconds, player.duration));
  if (!player.playing) return;
  busy(true);
  tell("Speaking.");
  requestAnimationFrame(frame);
}

// ---------------------------------------------------------------- taking away

async function download() {
  complain("");
  const format = $("format").value;
  tell(`Making ${format} …`);
  try {
    const options = { method: "POST", headers: headers(), body: body(asked, { response_format: format, stream: false }) };
    const answer = await ask("/v1/audio/speech", options);
    const at = URL.createObjectURL(await answer.blob()), anchor = document.createElement("a");
    anchor.href = at;
    anchor.download = `glowtron.${format}`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(at), 10_000);
    tell(`Downloaded glowtron.${format}.`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    complain(error.message);
    tell("Not downloaded.");
  }
}

async function share() {
  const address = link();
  history.replaceState(null, "", address);
  try {
    await navigator.clipboard.writeText(address);
    tell("Link copied: whoever opens it finds this text and these settings.");
  } catch {
    tell("The address of this page is the link now.");
  }
}

// ---------------------------------------------------------------- the page comes to life

async function load() {
  try {
    known = await (await ask("/page/voices", { headers: headers() })).json();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    complain(error.message);
    return;
  }
  complain("");
  $("key-form").hidden = true;
  const several = new Set(known.voices.map((one) => one.voice)).size > 1;
  $("voice").replaceChildren(...known.voices.map((one) => {
    const name = one.speaker ?? one.voice;
    return new Option(several && one.speaker ? `${one.voice}: ${name}` : name, one.id);
  }));
  for (const [name, [low, high]] of Object.entries(known.limits)) Object.assign($(name), { min: low, max: high, value: DEFAULTS[name] });
  $("text").maxLength = known.max_chars;
  $("format").replaceChildren(...known.formats.map((format) => new Option(format.toUpperCase(), format)));
  $("version").textContent = known.version;
  if (!$("text").value) $("text").value = EXAMPLES.greeting;
  readLink();
  show();
}

$("form").addEventListener("submit", (event) => { event.preventDefault(); speak(); });
$("form").addEventListener("input", show);
$("pause").addEventListener("click", () => {
  const paused = player.context.state === "suspended";
  player.toggle();
  $("pause").textContent = paused ? "Pause" : "Go on";
  tell(paused ? "Speaking." : "Paused.");
});
$("stop").addEventListener("click", () => { halt(); tell("Stopped."); frame(); });
$("seek").addEventListener("input", () => seek(Number($("seek").value)));
$("reseed").addEventListener("click", () => { $("seed").value = Math.floor(Math.random() * 1e6); speak(); });
$("download").addEventListener("click", download);
$("share").addEventListener("click", share);
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = $("key").value;
  sessionStorage.setItem("glowtron-key", key);
  load();
});
for (const button of document.querySelectorAll("[data-example]")) {
  button.addEventListener("click", () => {
    $("text").value = EXAMPLES[button.dataset.example];
    $("ssml").checked = button.dataset.example === "markup";
    show();
    $("text").focus();
  });
}
for (const [id, step] of [["previous", -1], ["next", 1]]) {
  $(id).addEventListener("click", () => { chosen = shown + step; showSentence(chosen); follow(player.position); });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); speak(); }
  if (event.key === "Escape" && !$("stop").disabled) { $("stop").click(); }
});
window.addEventListener("hashchange", () => { readLink(); show(); });
window.addEventListener("resize", () => { drawSentence(); frame(); });
load();
