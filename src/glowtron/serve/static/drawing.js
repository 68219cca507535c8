// Pictures of sound: its waveform, the mel of a sentence, and which phone is spoken when.

const EMBER = [[10, 8, 24], [44, 22, 84], [122, 34, 92], [205, 70, 52], [255, 157, 60], [255, 244, 214]];
const SHADES = Uint8ClampedArray.from({ length: 256 * 3 }, (_, i) => {
  const place = (Math.floor(i / 3) / 255) * (EMBER.length - 1);
  const at = Math.min(Math.floor(place), EMBER.length - 2);
  return EMBER[at][i % 3] + (place - at) * (EMBER[at + 1][i % 3] - EMBER[at][i % 3]);
});
const PEAK = 128; // Samples of which the loudest is kept.

export class Peaks {
  constructor() { this.values = []; this.rest = []; }

  add(samples) {
    const all = this.rest.length ? Float32Array.from([...this.rest, ...samples]) : samples;
    let i = 0;
    for (; i + PEAK <= all.length; i += PEAK) {
      let peak = 0;
      for (let j = i; j < i + PEAK; j++) peak = Math.max(peak, Math.abs(all[j]));
      this.values.push(peak);
    }
    this.rest = all.slice(i);
  }
}

// A canvas as sharp as the screen is: its drawing context, and its size in CSS pixels.
function sharp(canvas) {
  const width = canvas.clientWidth, height = Number(canvas.getAttribute("height-css") ?? canvas.height);
  canvas.setAttribute("height-css", height);
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  return { pen, width, height };
}

export function drawWave(canvas, peaks, share) {
  const { pen, width, height } = sharp(canvas);
  const n = peaks.values.length;
  if (!n) return;
  const bar = 3, gap = 1, bars = Math.max(1, Math.floor(width / (bar + gap)));
  const glow = pen.createLinearGradient(0, 0, 0, height);
  glow.addColorStop(0, "#ff9d3c");
  glow.addColorStop(0.5, "#ffd98a");
  glow.addColorStop(1, "#ff9d3c");
  for (let i = 0; i < bars; i++) {
    const first = Math.floor((i / bars) * n), last = Math.max(first + 1, Math.floor(((i + 1) / bars) * n));
    let peak = 0;
    for (let j = first; j < last; j++) peak = Math.max(peak, peaks.values[j]);
    const tall = Math.max(2, Math.min(1, peak * 1.25) * (height - 12));
    pen.fillStyle = i / bars <= share ? glow : "#6d5a93";
    pen.beginPath();
    pen.roundRect(i * (bar + gap), (height - tall) / 2, bar, tall, 1.5);
    pen.fill();
  }
}

export function drawMel(canvas, mel) {
  const { pen, width, height } = sharp(canvas);
  const image = new ImageData(mel.frames, mel.bands);
  for (let t = 0; t < mel.frames; t++) {
    for (let band = 0; band < mel.bands; band++) {
      const shade = 3 * mel.data[t * mel.bands + band], at = 4 * ((mel.bands - 1 - band) * mel.frames + t);
      image.data[at] = SHADES[shade];
      image.data[at + 1] = SHADES[shade + 1];
      image.data[at + 2] = SHADES[shade + 2];
      image.data[at + 3] = 255;
    }
  }
  const small = document.createElement("canvas");
  small.width = mel.frames;
  small.height = mel.bands;
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = true;
  pen.drawImage(small, 0, 0, width, height);
}

// places: the symbol of each step. symbols: their names.
export function drawPath(canvas, places, symbols) {
  const { pen, width, height } = sharp(canvas);
  const n = symbols.length, steps = places.length, row = (height - 12) / n;
  pen.font = "600 10px ui-monospace, monospace";
  pen.textBaseline = "middle";
  for (let start = 0, i = 1; i <= steps; i++) {
    if (i < steps && places[i] === places[start]) continue;
    const x = (start / steps) * width, wide = ((i - start) / steps) * width, y = 6 + places[start] * row;
    const name = symbols[places[start]], isSound = /[A-Za-z]/.test(name);
    pen.fillStyle = isSound ? "#ff9d3c" : "#6d5a93";
    pen.beginPath();
    pen.roundRect(x, y, Math.max(wide, 1.5), Math.max(row, 3), 1.5);
    pen.fill();
    if (isSound && wide > 7 * name.length) {
      const below = y + row + 8 < height - 6;
      pen.fillStyle = "#f4eefb";
      pen.fillText(name, x + (wide - 6 * name.length) / 2, below ? y + Math.max(row, 3) + 8 : y - 8);
    }
    start = i;
  }
}
