// Sends the requests on stdin, a list of JSON objects, with the JavaScript clients in the folder of the first
// argument. Prints a line of JSON for each: what the client made of the response. Started by drive.py.

import { createRequire } from "node:module";
import { text as readText } from "node:stream/consumers";
import path from "node:path";

const load = createRequire(path.resolve(process.argv[2], "package.json"));
const { OpenAI } = load("openai");
const { Anthropic } = load("@anthropic-ai/sdk");

const PROMPT = "Answer in eight short words.";
const MESSAGES = [{ role: "user", content: PROMPT }];

function withUsage(request) {
  return { max_tokens: 100, ...(request.stream && { stream_options: { include_usage: true } }) };
}

// The text, or the name and the arguments of a tool call.
function chatText(message) {
  const calls = (message?.tool_calls ?? []).map((call) => call.function);
  return calls.map((call) => (call.name ?? "") + (call.arguments ?? "")).join("") || (message?.content ?? "");
}

const APIS = {
  chat: {
    send: (client, { model, stream, ...request }, options) =>
      client.chat.completions.create({ model, stream, messages: MESSAGES, ...withUsage({ stream }) }, options),
    piece: (event) => chatText(event.choices[0]?.delta),
    text: (answer) => chatText(answer.choices[0].message),
  },
  completions: {
    send: (client, { model, stream }, options) =>
      client.completions.create({ model, stream, prompt: PROMPT, ...withUsage({ stream }) }, options),
    piece: (event) => event.choices[0]?.text ?? "",
    text: (answer) => answer.choices[0].text,
  },
  responses: {
    send: (client, { model, stream }, options) =>
      client.responses.create({ model, stream, input: PROMPT, max_output_tokens: 100 }, options),
    piece: (event) => event.delta ?? (event.type === "response.output_item.added" ? event.item.name : null) ?? "",
    text: ({ output: [item], output_text }) => (item.name ? item.name + item.arguments : output_text),
    failure: (event) => {
      const response = event.response ?? event;
      return response.error ? `status ${response.status}: ${response.error.message}` : null;
    },
    isLast: (event) => event.type === "response.completed",
  },
  messages: {
    send: (client, { model, stream }, options) =>
      client.messages.create({ model, stream, messages: MESSAGES, max_tokens: 100 }, options),
    piece: (event) => event.delta?.text ?? event.delta?.partial_json ?? event.content_block?.name ?? "",
    text: ({ content: [block] }) => block.text ?? block.name + JSON.stringify(block.input),
    isLast: (event) => event.type === "message_stop",
  },
};

function newClient(request) {
  const options = { apiKey: "none", maxRetries: 0 };
  return request.api === "messages"
    ? new Anthropic({ ...options, baseURL: request.url })
    : new OpenAI({ ...options, baseURL: `${request.url}/v1` });
}

async function drive(request) {
  const api = APIS[request.api];
  const started = performance.now();
  const pieces = [];
  let ending = null;
  try {
    // The clients' own time limit ends with the head.
    const signal = AbortSignal.timeout(request.timeout);
    const response = await api.send(newClient(request), request, { headers: request.headers, signal });
    if (request.stream) {
      for await (const event of response) {
        pieces.push(api.piece(event));
        ending = api.failure?.(event) ?? ending;
        const tokens = pieces.filter((piece) => piece).length;
        // Leaving the loop aborts the request.
        if (tokens === request.leaveAfter || (request.leaveAtEnd && api.isLast?.(event))) break;
      }
    } else {
      ending = api.failure?.(response) ?? null;
      pieces.push(ending ? "" : api.text(response));
    }
  } catch (error) {
    ending = `${error.constructor.name}: ${error.message.split("\n")[0]}`;
  }
  return { pieces, ending, seconds: (performance.now() - started) / 1000 };
}

const requests = JSON.parse(await readText(process.stdin));
for (const result of await Promise.all(requests.map(drive))) {
  console.log(JSON.stringify(result));
}
