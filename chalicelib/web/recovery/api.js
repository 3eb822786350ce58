// Client of the service's API, and the proof of work.

/** Values that the service has put into the document. */
export const page = document.body.dataset;

const TIMEOUT = 20000; // ms

/** An error of the API; its properties are the members of the problem+json. */
export class Problem {
  constructor(members) {
    Object.assign(this, members);
  }
}

/** The problem of a request without a response. */
export const NETWORK = new Problem({
  code: "network",
  detail: "网络连接失败，请检查网络后重试。已填写的内容都还在。",
});

/** Members for an error response that is not the service's own but a gateway's or a proxy's. */
function fallbackMembers(status) {
  return status === 429
    ? { code: "too-many-requests", detail: "操作过于频繁，请稍后再试。" }
    : { code: "unavailable", detail: "服务暂时不可用，您的操作没有生效，请稍后再试。" };
}

/** Call the API; `token` identifies the recovery. Throws a Problem. */
export async function call(method, path, { body, token } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT);
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    const answer = await fetch(path, {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: stop.signal,
    });
    const text = await answer.text();
    let result = null;
    try {
      result = JSON.parse(text);
    } catch {
      // A gateway or proxy may respond with HTML.
    }
    if (answer.ok && result) return result;
    const wait = Number(answer.headers.get("Retry-After")) || undefined;
    throw new Problem({
      ...fallbackMembers(answer.status),
      retry_after: wait,
      ...(result && result.code ? result : {}),
    });
  } catch (error) {
    throw error instanceof Problem ? error : NETWORK;
  } finally {
    clearTimeout(timer);
  }
}

const trusted = window.trustedTypes
  ? trustedTypes.createPolicy("solver", { createScriptURL: (url) => url })
  : { createScriptURL: (url) => url };

const PROOF_LIFETIME = 240000; // ms; a challenge is valid for five minutes, minus the time to send
let current = null; // {login, factor, until, proof, progress, drop}

function solve(parameters, attempt) {
  const worker = new Worker(trusted.createScriptURL(page.solver));
  const solved = new Promise((resolve, reject) => {
    const fail = (code) =>
      reject(
        new Problem({
          code,
          detail: `浏览器不能完成安全校验，请更新微信或换用其他浏览器，也可以联系技术支持${page.support}。`,
        }),
      );
    worker.onmessage = ({ data }) => {
      if (data > 0) attempt.progress(data);
      else if (data) resolve(data);
      else fail("no-solver");
    };
    worker.onerror = () => fail("no-solver");
    attempt.drop = () => fail("dropped");
    worker.postMessage(parameters);
  });
  return solved.finally(() => worker.terminate());
}

/**
 * Return the encoded proof of work for a login; "" where the service requires none. `factor` is how many
 * times the ordinary work the service required; `progress` is called with the tenths that are done. A
 * repeated call for the same login returns the same promise. Throws a Problem.
 */
export function prove(login, factor = 1, progress = () => {}) {
  if (page.proof !== "1") return Promise.resolve("");
  if (current && current.login === login && current.factor === factor && Date.now() < current.until) {
    current.progress = progress;
    return current.proof;
  }
  dropProof();
  const attempt = { login, factor, progress, until: Date.now() + PROOF_LIFETIME, drop() {} };
  current = attempt;
  const path = `proof?login=${encodeURIComponent(login)}&factor=${factor}`;
  attempt.proof = call("GET", path).then(async (challenge) => {
    const solution = await solve(challenge.parameters, attempt);
    return btoa(JSON.stringify({ challenge, solution }));
  });
  attempt.proof.catch(() => {
    if (current === attempt) current = null;
  });
  return attempt.proof;
}

/** Discard the proof, after its use or when the login changes. */
export function dropProof() {
  if (current) current.drop();
  current = null;
}

let screens = null; // promise of the script with the screens after the first
let imports = 0;

/** Load the screens after the first one; return the exports of their script. Throws a Problem. */
export function loadScreens() {
  if (screens) return screens;
  const url = new URL(page.screens, document.baseURI);
  // Browsers remember a failed import by its address.
  if (imports) url.search = imports;
  imports += 1;
  const late = new Promise((_, reject) => setTimeout(reject, TIMEOUT));
  screens = Promise.race([import(url.href), late]).catch(() => {
    screens = null;
    throw NETWORK;
  });
  return screens;
}
