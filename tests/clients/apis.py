"""The APIs, as the matrix of tests uses them: the same requests through the clients of each."""

import anthropic
import openai

from case import MESSAGES

OPENAI = (openai.OpenAI, openai.AsyncOpenAI)


class Chat:
    name = "chat completions"
    key = "chat"
    kinds = OPENAI
    route = "/v1/chat/completions"
    operation, provider = "chat", "openai"
    finish = "stop"
    # The `code` of an engine failure in a stream.
    error_code = "500"
    # The last event before the response's end, for a client that leaves there.
    ends_with_terminator = True

    def request(self, client, model, stream, headers):
        usage = {"stream_options": {"include_usage": True}} if stream else {}
        return client.chat.completions.create(
            model=model, messages=MESSAGES, stream=stream, extra_headers=headers, max_tokens=100, **usage
        )

    def piece(self, event):
        """Returns the text of an event."""
        return (event.choices[0].delta.content or "") if event.choices else ""

    def text(self, answer):
        return answer.choices[0].message.content

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
    finish = "completed"
    error_code = "server_error"
    ends_with_terminator = False

    def request(self, client, model, stream, headers):
        return client.responses.create(
            model=model, input=MESSAGES[0]["content"], stream=stream, extra_headers=headers,
            max_output_tokens=100
        )

    def piece(self, event):
        return event.delta if event.type == "response.output_text.delta" else ""

    def text(self, answer):
        return answer.output_text

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
    finish = "end_turn"
    error_code = "api_error"
    ends_with_terminator = False

    def request(self, client, model, stream, headers):
        return client.messages.create(
            model=model, messages=MESSAGES, stream=stream, extra_headers=headers, max_tokens=100
        )

    def piece(self, event):
        return event.delta.text if event.type == "content_block_delta" else ""

    def text(self, answer):
        return answer.content[0].text

    def failure(self, event):
        return None

    def is_last(self, event):
        return event.type == "message_stop"


APIS = [Chat(), Completions(), Responses(), Messages()]
