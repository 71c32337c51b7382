// Makes the calls on stdin, a list of JSON objects, with @grpc/grpc-js in the folder of the first argument, to the
// server of the second. Prints a line of JSON for each: what the client made of the call. Started by calls.py.

import { createRequire } from "node:module";
import { text as readText } from "node:stream/consumers";
import path from "node:path";

const load = createRequire(path.resolve(process.argv[2], "package.json"));
const grpc = load("@grpc/grpc-js");

const asIs = (bytes) => bytes;
const names = Object.fromEntries(Object.entries(grpc.status).map(([name, code]) => [code, name]));

function metadataOf(call) {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries({ ...call.headers, ...call.metadata })) {
    metadata.set(key, key.endsWith("-bin") ? Buffer.from(value, "latin1") : value);
  }
  return metadata;
}

function plain(metadata) {
  const entries = Object.entries(metadata?.getMap() ?? {});
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.isBuffer(value) ? value.toString("latin1") : value]));
}

function start(client, call) {
  const options = { deadline: Date.now() + call.deadline };
  const messages = call.messages.map((message) => Buffer.from(message));
  if (call.kind === "unary" || call.kind === "server") {
    return client.makeServerStreamRequest(call.path, asIs, asIs, messages[0], metadataOf(call), options);
  }
  const running = client.makeBidiStreamRequest(call.path, asIs, asIs, metadataOf(call), options);
  for (const message of messages) running.write(message);
  if (!call.stays_open) running.end();
  return running;
}

async function drive(call) {
  const options = call.gzip ? { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip } : {};
  const client = new grpc.Client(process.argv[3], grpc.credentials.createInsecure(), options);
  // A call that is cancelled before there is a connection is never sent.
  await new Promise((resolve, reject) =>
    client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve())),
  );
  const running = start(client, call);
  const said = { count: 0, size: 0, initial: {} };
  if (call.cancel_after === 0) setTimeout(() => running.cancel(), 500);
  running.on("metadata", (metadata) => (said.initial = plain(metadata)));
  running.on("data", (message) => {
    said.count += 1;
    said.size += message.length;
    if (said.count === call.cancel_after) running.cancel();
  });
  // The status has the error, too.
  running.on("error", () => {});
  const { code, details, metadata } = await new Promise((resolve) => running.on("status", resolve));
  client.close();
  return { ...said, code: names[code], details, trailing: plain(metadata) };
}

const calls = JSON.parse(await readText(process.stdin));
const results = Array(calls.length);
// A few at a time, so that a large message does not delay the others.
const work = calls.entries();
async function driveNext() {
  for (const [number, call] of work) results[number] = await drive(call);
}
await Promise.all(Array.from({ length: 6 }, driveNext));
for (const said of results) console.log(JSON.stringify(said));
