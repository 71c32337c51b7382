// Sends the requests on stdin, a list of JSON objects, to the server of the first argument, with the `fetch` of Node.js
// (HTTP/1.1) or with its module http2. Prints a line of JSON for each: what the client saw. Started by fetch.py.

import http2 from "node:http2";
import { text as readText } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";

const url = process.argv[2];

// A request body that sends some bytes, and then nothing until it is cancelled.
function stalled(bytes) {
  return new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(bytes)) });
}

function bodyOf(request) {
  if (request.upload === null) return {};
  const body = request.stalls ? stalled(request.upload) : new Uint8Array(request.upload);
  return { method: "POST", body, duplex: "half" };
}

async function sendFetch(request) {
  const seen = { status: 0, size: 0, ending: "complete" };
  const abort = new AbortController();
  if (request.abort_after !== null) setTimeout(() => abort.abort(), request.abort_after);
  try {
    const options = { headers: request.headers, signal: abort.signal, method: request.method, ...bodyOf(request) };
    const response = await fetch(url + request.path, options);
    seen.status = response.status;
    if (request.cancels) await response.body.cancel();
    else for await (const piece of response.body ?? []) {
      seen.size += piece.length;
      // Leaving the loop cancels the body.
      if (request.leave_after !== null && seen.size >= request.leave_after) break;
    }
    if (request.cancels || request.leave_after !== null) seen.ending = "left";
  } catch (error) {
    seen.ending = error.name === "AbortError" ? "left" : "broken";
  }
  return seen;
}

function sendHttp2(request) {
  const seen = { status: 0, size: 0, ending: "complete" };
  return new Promise((resolve) => {
    const session = http2.connect(url);
    const finish = async () => {
      // With an error, "end" may come, too.
      if (!session.destroyed) session.destroy();
      await sleep(0);
      resolve(seen);
    };
    const leave = () => {
      seen.ending = "left";
      if (request.destroys) session.destroy();
      else stream.close(http2.constants.NGHTTP2_CANCEL);
    };
    session.on("error", () => {});
    const method = request.upload === null ? request.method : "POST";
    const stream = session.request({ ":path": request.path, ":method": method, ...request.headers }, { endStream: false });
    if (request.upload !== null) stream.write(Buffer.alloc(request.upload));
    if (!request.stalls) stream.end();
    stream.on("response", (head) => {
      seen.status = head[":status"];
      if (request.cancels) leave();
    });
    stream.on("data", (piece) => {
      seen.size += piece.length;
      if (request.leave_after !== null && seen.size >= request.leave_after) leave();
    });
    stream.on("error", () => (seen.ending = seen.ending === "left" ? "left" : "broken"));
    stream.on("close", finish);
    if (request.abort_after !== null) setTimeout(leave, request.abort_after);
  });
}

const requests = JSON.parse(await readText(process.stdin));
const results = Array(requests.length);
const work = requests.entries();
async function sendNext() {
  for (const [number, request] of work) {
    results[number] = await (request.protocol === "1.1" ? sendFetch : sendHttp2)(request);
  }
}
await Promise.all(Array.from({ length: 6 }, sendNext));
for (const seen of results) console.log(JSON.stringify(seen));
// Idle connections of `fetch` would keep the process alive.
process.exit(0);
