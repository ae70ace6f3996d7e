"""Messages: chat completions served by a provider that speaks Anthropic's wire.

A chat request becomes a Messages request (messages_provider_request, _turns), and the message that
comes a chat completion, whole or chunk by chunk (messages_provider_answer).
"""

from proxy.translate.messages_provider_answer import EventsToChat, answer_to_chat
from proxy.translate.messages_provider_request import request_from_chat

__all__ = ["EventsToChat", "answer_to_chat", "request_from_chat"]
