"use strict";
// Numbers in words, sums, and the embedded data. Times of instructions are indices; durations are picoseconds.

performance.mark("begun");
const DATA = JSON.parse(document.getElementById("data").textContent);

function duration(ps) {
  if (ps === 0) return "0";
  const size = Math.abs(ps);
  const [factor, unit] = size < 1e3 ? [1, "ps"] : size < 1e6 ? [1e3, "ns"] : size < 1e9 ? [1e6, "µs"] : size < 1e12 ? [1e9, "ms"] : [1e12, "s"];
  return `${plain(ps / factor)} ${unit}`;
}

function bytes(count) {
  const [factor, unit] = count < 2 ** 10 ? [1, "B"] : count < 2 ** 20 ? [2 ** 10, "KiB"] : count < 2 ** 30 ? [2 ** 20, "MiB"] : [2 ** 30, "GiB"];
  return `${plain(count / factor)} ${unit}`;
}

function plain(value) {
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

function percent(share, digits = 2) {
  const text = (100 * share).toFixed(digits);
  return `${share > 0 ? "+" : ""}${text.replace("-", "−")} %`;
}

// Cumulative sums: entry t is the sum of everything before time t.
function cumulative(values) {
  const sums = new Float64Array(values.length + 1);
  values.forEach((value, time) => { sums[time + 1] = sums[time] + value; });
  return sums;
}

// The last time whose entry in ascending sums is at most x.
function timeAt(sums, x) {
  let low = 0, high = sums.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sums[middle] <= x) low = middle; else high = middle;
  }
  return low;
}

// The value at x of what has the value values[t] at places[t], in between linear.
function valueAt(places, values, x) {
  if (x <= places[0]) return values[0];
  if (x >= places[places.length - 1]) return values[values.length - 1];
  const time = timeAt(places, x);
  const width = places[time + 1] - places[time];
  return values[time] + (width > 0 ? (x - places[time]) / width : 1) * (values[time + 1] - values[time]);
}
