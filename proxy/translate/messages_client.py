"""Messages: Anthropic's clients, served by a provider that speaks chat completions.

Both ways through one form: a request becomes a chat request (messages_client_request, _turns), and
what the chat answers a message, whole or event by event (messages_client_answer).
"""

from proxy.translate.messages_client_answer import EventsFromChat, answer_from_chat
from proxy.translate.messages_client_request import request_to_chat

__all__ = ["EventsFromChat", "answer_from_chat", "request_to_chat"]
