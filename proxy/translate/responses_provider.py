"""Responses: chat completions served by a provider that has a model only on OpenAI's newer wire.

A chat request becomes a Responses request (responses_provider_request, _turns), and the response
that comes a chat completion, whole or chunk by chunk (responses_provider_answer, _pieces).
"""

from proxy.translate.responses_provider_answer import EventsToChat, answer_to_chat
from proxy.translate.responses_provider_request import request_from_chat

__all__ = ["EventsToChat", "answer_to_chat", "request_from_chat"]
