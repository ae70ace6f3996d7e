"""Responses: clients of OpenAI's newer wire, served by a provider that speaks chat completions.

    request_to_chat     a request as a chat request               responses_request, _input, _tools
    answer_from_chat    a whole chat completion as a Response     responses_answer
    EventsFromChat      a stream's chunks as a Response's events  responses_events

Whole or streamed, an answer is put together by the same `Output`: both come out the same. Nothing
is kept here between requests, and every answer says so (`store: false`): a client goes on by
sending the items back, which is why what a provider must see again travels inside of them.
"""

from proxy.translate.responses_answer import answer_from_chat
from proxy.translate.responses_events import EventsFromChat
from proxy.translate.responses_request import request_to_chat

__all__ = ["EventsFromChat", "answer_from_chat", "request_to_chat"]
