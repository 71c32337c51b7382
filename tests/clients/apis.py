"""The APIs, as the matrix of tests uses them: the same requests through the clients of each."""

import json

import anthropic
import openai

from case import MESSAGES

OPENAI = (openai.OpenAI, openai.AsyncOpenAI)


def call_text(call):
    return (call.function.name or "") + (call.function.arguments or "")


class Chat:
    name = "chat completions"
    key = "chat"
    kinds = OPENAI
    route = "/v1/chat/completions"
    operation, provider = "chat", "openai"
    # Without and with a tool call.
    finish, tool_finish = "stop", "tool_calls"
    # The `code` of an engine failure in a stream.
    error_code = "500"
    # Whether the clients stop at `data: [DONE]`.
    has_terminator = True

    def request(self, client, model, stream, headers):
        usage = {"stream_options": {"include_usage": True}} if stream else {}
        return client.chat.completions.create(
            model=model, messages=MESSAGES, stream=stream, extra_headers=headers, max_tokens=100, **usage
        )

    def piece(self, event):
        """Returns the text of an event, or its part of a tool call."""
        if not event.choices:
            return ""
        delta = event.choices[0].delta
        return "".join(map(call_text, delta.tool_calls or [])) or delta.content or ""

    def text(self, answer):
        message = answer.choices[0].message
        return "".join(map(call_text, message.tool_calls or [])) or message.content

    def failure(self, event):
        """Returns the failure that an event or answer reports, where the client raises no error."""
        return None

    def is_last(self, event):
        return False


class Completions(Chat):
    name = "completions"
    key = "completions"
    route = "/v1/completions"
    operation = "text_completion"

    def request(self, client, model, stream, headers):
        usage = {"stream_options": {"include_usage": True}} if stream else {}
        return client.completions.create(
            model=model, prompt=MESSAGES[0]["content"], stream=stream, extra_headers=headers,
            max_tokens=100, **usage
        )

    def piece(self, event):
        return event.choices[0].text if event.choices else ""

    def text(self, answer):
        return answer.choices[0].text


class Responses:
    name = "responses"
    key = "responses"
    kinds = OPENAI
    route = "/v1/responses"
    operation, provider = "chat", "openai"
    finish, tool_finish = "completed", "completed"
    error_code = "server_error"
    has_terminator = False

    def request(self, client, model, stream, headers):
        return client.responses.create(
            model=model, input=MESSAGES[0]["content"], stream=stream, extra_headers=headers,
            max_output_tokens=100
        )

    def piece(self, event):
        if event.type == "response.output_item.added":
            return getattr(event.item, "name", "")
        deltas = ("response.output_text.delta", "response.function_call_arguments.delta")
        return event.delta if event.type in deltas else ""

    def text(self, answer):
        item = answer.output[0]
        return item.name + item.arguments if item.type == "function_call" else answer.output_text

    def failure(self, event):
        response = getattr(event, "response", event)
        error = getattr(response, "error", None)
        return error and f"status {response.status}: {error.message}"

    def is_last(self, event):
        return event.type == "response.completed"


class Messages:
    name = "messages"
    key = "messages"
    kinds = (anthropic.Anthropic, anthropic.AsyncAnthropic)
    route = "/v1/messages"
    operation, provider = "chat", "anthropic"
    finish, tool_finish = "end_turn", "tool_use"
    error_code = "api_error"
    has_terminator = False

    def request(self, client, model, stream, headers):
        return client.messages.create(
            model=model, messages=MESSAGES, stream=stream, extra_headers=headers, max_tokens=100
        )

    def piece(self, event):
        if event.type == "content_block_start":
            return getattr(event.content_block, "name", "")
        if event.type != "content_block_delta":
            return ""
        is_text = event.delta.type == "text_delta"
        return event.delta.text if is_text else event.delta.partial_json

    def text(self, answer):
        block = answer.content[0]
        if block.type == "text":
            return block.text
        return block.name + json.dumps(block.input, separators=(",", ":"))

    def failure(self, event):
        return None

    def is_last(self, event):
        return event.type == "message_stop"


APIS = [Chat(), Completions(), Responses(), Messages()]
