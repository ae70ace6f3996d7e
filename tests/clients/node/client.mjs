// The openai package on node, against the proxy whose URL and key are in the environment.
// Prints one JSON object: what each check of the group that was asked for has seen.

import OpenAI, { toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const client = new OpenAI({ maxRetries: 0 });
const model = "oak";
const messages = [{ role: "user", content: "one two three" }];
const sandbox = { output_tokens: 7 };
const long = { output_tokens: 60 };
const parameters = { type: "object", properties: { echo: { type: "string" } } };
const Answer = z.object({ answer: z.string() });

async function collected(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

/** What an error is to the application that catches it. */
async function caught(promise) {
  try {
    await promise;
  } catch (error) {
    const { status, code, type, param, requestID } = error;
    return {
      class: error.constructor.name,
      is_api_error: error instanceof OpenAI.APIError,
      status, code, type, param,
      broke_off: /broke off/.test(error.message),
      has_request_id: /^req/.test(requestID ?? ""),
    };
  }
  return null;
}

const text = {
  async chat() {
    const ask = { model, messages, max_tokens: 50, sandbox };
    const answer = await client.chat.completions.create(ask);
    const [choice] = answer.choices;
    return {
      text: choice.message.content,
      finish: choice.finish_reason,
      usage: [answer.usage.prompt_tokens, answer.usage.completion_tokens],
      cost: answer.usage.cost,
      has_request_id: /^req/.test(answer._request_id),
    };
  },

  async chat_streamed() {
    const ask = { model, messages, max_tokens: 50, sandbox, stream: true };
    const chunks = await collected(
      await client.chat.completions.create({ ...ask, stream_options: { include_usage: true } }),
    );
    const choices = chunks.flatMap((chunk) => chunk.choices);
    const last = chunks.at(-1);
    return {
      text: choices.map((choice) => choice.delta.content ?? "").join(""),
      finish: choices.at(-1).finish_reason,
      usage: [last.usage.prompt_tokens, last.usage.completion_tokens],
      cost: last.usage.cost,
    };
  },

  async chat_without_usage() {
    const ask = { model, messages, max_tokens: 50, sandbox, stream: true };
    const chunks = await collected(await client.chat.completions.create(ask));
    return chunks.filter((chunk) => chunk.usage).length;
  },

  /** The helper calls the function itself, sends its result, and streams the answer to that. */
  async tools_run() {
    const called = [];
    const echo = { name: "echo", description: "says it again", parameters };
    echo.parse = JSON.parse;
    echo.function = (given) => { called.push(given); return "an echo"; };
    const runner = client.chat.completions.runTools({
      model, max_tokens: 500, stream: true, tools: [{ type: "function", function: echo }],
      messages: [{ role: "user", content: "use the tool, please" }],
    });
    const answer = await runner.finalContent();
    return { called, has_answer: answer.length > 0, roles: runner.messages.map((one) => one.role) };
  },

  async structured() {
    const answer = await client.chat.completions.parse({
      model, messages, max_tokens: 50, response_format: zodResponseFormat(Answer, "trees"),
    });
    return typeof answer.choices[0].message.parsed.answer;
  },

  async responses() {
    const answer = await client.responses.create({
      model, instructions: "be brief", input: "one two three", max_output_tokens: 50, sandbox,
    });
    return { text: answer.output_text, status: answer.status, tokens: answer.usage.output_tokens };
  },

  async responses_streamed() {
    const stream = client.responses.stream({
      model, instructions: "be brief", input: "one two three", max_output_tokens: 50, sandbox,
    });
    const events = await collected(stream);
    const answer = await stream.finalResponse();
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    return {
      text: deltas.map((event) => event.delta).join(""),
      first: events[0].type,
      last: events.at(-1).type,
      in_order: events.every((event, place) => event.sequence_number === place),
      status: answer.status,
      tokens: answer.usage.output_tokens,
    };
  },

  async responses_tools() {
    const tools = [{ type: "function", name: "echo", parameters, strict: false }];
    const question = { role: "user", content: "use the tool, please" };
    const ask = { model, max_output_tokens: 500, tools, input: [question] };
    const first = await client.responses.stream(ask).finalResponse();
    const call = first.output.find((item) => item.type === "function_call");
    const output = { type: "function_call_output", call_id: call.call_id, output: "an echo" };
    const input = [question, ...first.output, output];
    const second = await client.responses.create({ model, max_output_tokens: 50, input });
    return {
      name: call.name,
      arguments: JSON.parse(call.arguments),
      has_answer: second.output_text.length > 0,
    };
  },

  async responses_structured() {
    const answer = await client.responses.parse({
      model, input: "one two", max_output_tokens: 50,
      text: { format: zodTextFormat(Answer, "trees") },
    });
    return typeof answer.output_parsed.answer;
  },
};

/** So many seconds of silence, as a WAV file. */
function wave(seconds) {
  const samples = 8000 * seconds;
  const file = Buffer.alloc(44 + 2 * samples);
  file.write("RIFF", 0);
  file.writeUInt32LE(36 + 2 * samples, 4);
  file.write("WAVEfmt ", 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20); // PCM
  file.writeUInt16LE(1, 22); // one channel
  file.writeUInt32LE(8000, 24);
  file.writeUInt32LE(16000, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36);
  file.writeUInt32LE(2 * samples, 40);
  return file;
}

const other = {
  async models() {
    return (await collected(client.models.list())).map((one) => one.id);
  },

  async embeddings() {
    // Left alone, this client asks for base64 and decodes it.
    const one = await client.embeddings.create({ model, input: "one two" });
    const many = await client.embeddings.create({
      model, input: ["one two", "three"], encoding_format: "float",
    });
    const [first, same] = [one.data[0].embedding, many.data[0].embedding];
    const apart = first.map((value, at) => Math.abs(value - same[at]));
    return {
      agree: apart.length > 0 && Math.max(...apart) < 1e-5,
      indexes: many.data.map((found) => found.index),
      tokens: many.usage.prompt_tokens,
    };
  },

  async speech() {
    const ask = { model, voice: "alloy", input: "one two three" };
    const response = await client.audio.speech.create(ask);
    const sound = Buffer.from(await response.arrayBuffer());
    return {
      type: response.headers.get("content-type"),
      head: sound.toString("latin1", 0, 4),
      bytes: sound.length,
    };
  },

  async transcription() {
    const file = await toFile(wave(2), "a.wav", { type: "audio/wav" });
    const heard = await client.audio.transcriptions.create({ model, file });
    return heard.text.split(" ").length;
  },

  async images() {
    const ask = { model, prompt: "a hedgerow", n: 2, size: "1024x1024" };
    const painted = await client.images.generate(ask);
    return painted.data.map((one) => Boolean(one.url ?? one.b64_json));
  },
};

const errors = {
  unknown_path: () => caught(client.post("/_stainless_unknown_path")),
  unknown_model: () => caught(client.responses.create({ model: "elm", input: "x" })),
  wrong_key: () => caught(
    client.withOptions({ apiKey: "sk-wrong" }).chat.completions.create({ model, messages }),
  ),
  no_messages: () => caught(client.chat.completions.create({ model, messages: [] })),
  web_search: () => caught(
    client.responses.create({ model, input: "x", tools: [{ type: "web_search" }] }),
  ),
};

const abort = {
  /** Leaves after three words, in the middle of an answer. */
  async chat() {
    const controller = new AbortController();
    const { signal } = controller;
    const ask = { model, messages, max_tokens: 60, sandbox: long, stream: true };
    const stream = await client.chat.completions.create(ask, { signal });
    let words = 0;
    for await (const chunk of stream) {
      words += chunk.choices.filter((choice) => choice.delta.content).length;
      if (words === 3) controller.abort();
    }
    return { words, aborted: stream.controller.signal.aborted };
  },
};

/** Answers that break off. */
const chat = { model, messages, max_tokens: 60, sandbox: long };
const response = { model, input: "one two three", max_output_tokens: 60, sandbox: long };
const cut = {
  chat: () => caught(client.chat.completions.create({ ...chat, stream: true }).then(collected)),
  chat_helper: () => caught(client.chat.completions.stream(chat).finalChatCompletion()),
  responses: () => caught(client.responses.create({ ...response, stream: true }).then(collected)),
  responses_helper: () => caught(client.responses.stream(response).finalResponse()),
};

const group = { text, other, errors, abort, cut }[process.argv[2]];
const seen = {};
for (const [name, check] of Object.entries(group)) {
  try {
    seen[name] = await check();
  } catch (error) {
    seen[name] = { failed: String(error.stack) };
  }
}
console.log(JSON.stringify(seen));
