// Makes the hostile files ("bombs"): pictures that need far more memory, time or space than their
// size suggests. They are made from random numbers, which a seed repeats, and from one photograph
// of the tests.

import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import zlib, { deflateSync, inflateSync } from "node:zlib";

const fixtures = resolve(dirname(fileURLToPath(import.meta.url)), "../../server/tests/fixtures");

/** An ordinary picture of a cat. Each call gives another file, so that none counts as a copy. */
export function ordinaryCat(random) {
  return Buffer.concat([readFileSync(join(fixtures, "chelsea.png")), noise(random, 8)]);
}

/** All hostile files by name. */
export function makeBombs(random) {
  const cat = readPhotograph(join(fixtures, "chelsea.png"));
  const files = {
    // Deflate makes it a hundred times smaller, and a lossy encoder finds nothing but edges in it.
    "animation of noise": animation(random, { width: 1400, height: 900, frames: 60 }),
    "wide animation of noise": animation(random, { width: 2048, height: 1340, frames: 60 }),
    // There is a cat in these, so that they are published and their files are stored.
    "cat among noise": animation(random, { width: 1024, height: 680, frames: 60, cat, every: 2 }),
    "cat in two frames": animation(random, {
      width: 1024,
      height: 680,
      frames: 60,
      cat,
      every: 32,
    }),
    // These hold nothing but zeros, and a decoder must keep the whole picture in memory.
    "interlaced gray": blankPng({
      width: 14_000,
      height: 3_560,
      colour: 0,
      depth: 8,
      interlaced: true,
    }),
    "interlaced gray of 1 bit": blankPng({
      width: 14_000,
      height: 3_560,
      colour: 0,
      depth: 1,
      interlaced: true,
    }),
    "interlaced gray with alpha": blankPng({
      width: 6_600,
      height: 3_300,
      colour: 4,
      depth: 8,
      interlaced: true,
    }),
    "interlaced colour of 16 bits": blankPng({
      width: 5_000,
      height: 3_300,
      colour: 6,
      depth: 16,
      interlaced: true,
    }),
    "50 Mpx of zeros": blankPng({
      width: 8_600,
      height: 5_800,
      colour: 6,
      depth: 8,
      interlaced: false,
    }),
    "more pixels than are taken": blankPng({
      width: 60_000,
      height: 60_000,
      colour: 0,
      depth: 1,
      interlaced: false,
      rows: 100,
    }),
  };
  for (const name of [
    "bomb.png",
    "cat-cmyk.jpg",
    "cat-animated.gif",
    "long-refused.jpg",
    "one-frame-refused.gif",
  ]) {
    files[name] = readFileSync(join(fixtures, name));
  }
  return files;
}

/** A PNG of one pixel, which is refused before it is decoded. */
export function tinyPng() {
  return blankPng({ width: 1, height: 1, colour: 0, depth: 8, interlaced: false });
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

function crc32(bytes) {
  if (zlib.crc32) return zlib.crc32(bytes);
  // Older versions of Node have no `zlib.crc32`.
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** One chunk of a PNG. */
function chunk(kind, body) {
  const name = Buffer.from(kind, "latin1");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(Buffer.concat([name, body])));
  return Buffer.concat([length, name, body, sum]);
}

/** Numbers as big-endian bytes; each part is a number and how many bytes it takes. */
function numbers(...parts) {
  return Buffer.concat(
    parts.map(([value, bytes]) => {
      const buffer = Buffer.alloc(bytes);
      buffer.writeUIntBE(value, 0, bytes);
      return buffer;
    }),
  );
}

/** The first chunk of a PNG. */
function header(width, height, depth, colour, interlaced) {
  return chunk(
    "IHDR",
    numbers(
      [width, 4],
      [height, 4],
      [depth, 1],
      [colour, 1],
      [0, 1],
      [0, 1],
      [interlaced ? 1 : 0, 1],
    ),
  );
}

/**
 * A PNG that holds nothing but zeros. With `rows`, only so many rows are there, and then the file
 * ends early.
 */
function blankPng({ width, height, colour, depth, interlaced, rows }) {
  const channels = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colour];
  const passes = interlaced
    ? [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
      ]
    : [[0, 0, 1, 1]];
  let bytes = 0;
  for (const [left, top, across, down] of passes) {
    const columns = Math.ceil((width - left) / across);
    const lines = rows ?? Math.ceil((height - top) / down);
    if (columns > 0 && lines > 0)
      bytes += (Math.ceil((columns * channels * depth) / 8) + 1) * lines;
  }
  const data = deflateSync(Buffer.alloc(bytes), { level: 9 });
  return Buffer.concat([
    signature,
    header(width, height, depth, colour, interlaced),
    chunk("IDAT", data),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/**
 * An APNG in which each frame is another strip of noise, repeated downwards. With `cat`, one frame
 * in `every` shows the cat instead.
 */
function animation(random, { width, height, frames, cat, every }) {
  const strip = 12;
  const shown = cat && indexed(cat, width, height);
  const parts = [
    signature,
    header(width, height, 8, 3, false),
    chunk("PLTE", palette()),
    chunk("acTL", numbers([frames, 4], [0, 4])),
  ];
  let sequence = 0;
  for (let frame = 0; frame < frames; frame += 1) {
    parts.push(
      chunk(
        "fcTL",
        numbers(
          [sequence, 4],
          [width, 4],
          [height, 4],
          [0, 4],
          [0, 4],
          [10, 2],
          [100, 2],
          [0, 1],
          [0, 1],
        ),
      ),
    );
    sequence += 1;
    const data = deflateSync(
      shown && frame % every === 0 ? shown : strips(random, width, height, strip),
      { level: 6 },
    );
    if (frame === 0) {
      parts.push(chunk("IDAT", data));
    } else {
      parts.push(chunk("fdAT", Buffer.concat([numbers([sequence, 4]), data])));
      sequence += 1;
    }
  }
  parts.push(chunk("IEND", Buffer.alloc(0)));
  return Buffer.concat(parts);
}

/**
 * The pixels of one frame: a strip of noise that is `strip` rows high, repeated down to the bottom.
 */
function strips(random, width, height, strip) {
  const row = width + 1;
  const pixels = Buffer.alloc(row * height);
  for (let y = 0; y < strip; y += 1) noise(random, width).copy(pixels, y * row + 1);
  for (let y = strip; y < height; y += strip)
    pixels.copy(pixels, y * row, 0, Math.min(strip, height - y) * row);
  return pixels;
}

/** A palette of 256 colours: three bits of red, three of green and two of blue. */
function palette() {
  const colours = Buffer.alloc(256 * 3);
  for (let index = 0; index < 256; index += 1) {
    colours[index * 3] = Math.round(((index >> 5) * 255) / 7);
    colours[index * 3 + 1] = Math.round((((index >> 2) & 7) * 255) / 7);
    colours[index * 3 + 2] = Math.round(((index & 3) * 255) / 3);
  }
  return colours;
}

/**
 * A photograph, scaled, as indices into that palette. Each row begins with a zero, which tells PNG
 * that the row is not filtered.
 */
function indexed({ width: from, height: lines, pixels }, width, height) {
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = (Math.floor((y * lines) / height) * from + Math.floor((x * from) / width)) * 3;
      rows[y * (width + 1) + x + 1] =
        (pixels[at] & 0xe0) | ((pixels[at + 1] & 0xe0) >> 3) | (pixels[at + 2] >> 6);
    }
  }
  return rows;
}

/**
 * Reads the pixels of an RGB PNG with 8 bits per channel (PNG specification, "Filter types for
 * filter method 0").
 */
function readPhotograph(path) {
  const file = readFileSync(path);
  const width = file.readUInt32BE(16);
  const height = file.readUInt32BE(20);
  const data = [];
  for (let at = 8; at < file.length;) {
    const length = file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT")
      data.push(file.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  const stored = inflateSync(Buffer.concat(data));
  const row = width * 3;
  const pixels = Buffer.alloc(row * height);
  for (let y = 0; y < height; y += 1) {
    const filter = stored[y * (row + 1)];
    for (let x = 0; x < row; x += 1) {
      const left = x >= 3 ? pixels[y * row + x - 3] : 0;
      const above = y > 0 ? pixels[(y - 1) * row + x] : 0;
      const corner = x >= 3 && y > 0 ? pixels[(y - 1) * row + x - 3] : 0;
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter];
      pixels[y * row + x] = stored[y * (row + 1) + 1 + x] + predicted;
    }
  }
  return { width, height, pixels };
}

/** The Paeth predictor of the PNG specification. */
function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [toLeft, toAbove, toCorner] = [left, above, corner].map((value) => Math.abs(guess - value));
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/** This many random bytes. */
function noise(random, bytes) {
  const buffer = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 1) buffer[at] = random() * 256;
  return buffer;
}
