// Worker that solves an ALTCHA challenge: PBKDF2 of nonce and counter until the prefix matches.
// It starts at 0, where the solutions start: see COUNTERS in chalicelib/security/proof_of_work.py.
"use strict";

const BATCH = 32; // concurrent derivations; the browser distributes them over its cores
const TENTH = 150; // counters of an ordinary challenge

const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
const hex = (buffer) =>
  Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function derive(parameters, counter) {
  const nonce = bytes(parameters.nonce);
  const password = new Uint8Array(nonce.length + 4);
  password.set(nonce);
  new DataView(password.buffer).setUint32(nonce.length, counter);
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  const options = {
    name: "PBKDF2",
    hash: parameters.algorithm.split("/")[1],
    salt: bytes(parameters.salt),
    iterations: parameters.cost,
  };
  const derivedKey = hex(await crypto.subtle.deriveBits(options, key, parameters.keyLength * 8));
  return { counter, derivedKey };
}

async function solve(parameters) {
  let done = 0;
  for (let first = 0; ; first += BATCH) {
    const tries = Array.from({ length: BATCH }, (_, index) => derive(parameters, first + index));
    const solution = (await Promise.all(tries)).find(
      ({ derivedKey }) => derivedKey.startsWith(parameters.keyPrefix),
    );
    if (solution) return solution;
    const tenths = Math.floor((first + BATCH) / TENTH / parameters.data.factor);
    if (tenths > done && tenths < 10) postMessage((done = tenths));
  }
}

onmessage = ({ data }) => {
  solve(data).then(
    (solution) => postMessage(solution),
    () => postMessage(null),
  );
};
