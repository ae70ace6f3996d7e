"""Channels as they are written under `notify`: where people are told what happens to budgets."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from hedgerow.files.config_errors import wrong
from hedgerow.files.settings import Kind, Parameter, Part, Secret, Text


def _webhook_url(value: SecretStr) -> SecretStr:
    """Never shown: the URL of a Slack channel is its key."""
    url = value.get_secret_value()
    write = "write, for example, https://ops.example.com/hook"
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        raise wrong("is no URL", write) from None
    is_http = parts.scheme in ("http", "https") and parts.hostname and port_is_good
    if not is_http or not re.fullmatch(r"[!-~]{1,4096}", url):
        raise wrong("is no http or https URL", write)
    if "@" in parts.netloc:
        raise wrong("has a user or password in it", "let the receiver check the signature instead")
    if parts.fragment:
        raise wrong("has a # in it", "take it and what follows out")
    return value


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}", text):
        raise wrong("{written} is no host name", "write, for example, smtp.example.com")
    return text


def _address(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}", text):
        raise wrong("{written} is no e-mail address", "write, for example, ops@example.com")
    return text


WebhookUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_webhook_url), Kind("secret URL")]
Host: TypeAlias = Annotated[str, AfterValidator(_host), Kind("host")]
Address: TypeAlias = Annotated[str, AfterValidator(_address), Kind("e-mail address")]


class WebhookSpec(Part):
    """JSON by POST, signed: see docs/notifications.md."""

    kind: Literal["webhook"] = Field(description="JSON by POST", examples=["webhook"])
    url: WebhookUrl = Field(
        description="Where to; redirects are not followed",
        examples=["https://ops.example.com/hook"],
    )
    secret: Secret | None = Field(
        None,
        description="Signs each notice; without one nothing is signed, as for Slack, whose URL is"
        " the secret",
        examples=["${OPS_WEBHOOK_SECRET}"],
    )


USUAL_PORT = {"starttls": 587, "tls": 465, "none": 25}


class EmailSpec(Part):
    """E-mail by SMTP."""

    kind: Literal["email"] = Field(description="E-mail by SMTP", examples=["email"])
    host: Host = Field(description="The mail server", examples=["smtp.example.com"])
    port: Annotated[int, Field(ge=1, le=65535), Kind("whole number")] | None = Field(
        None,
        description="Its port; when not given, 587 for `starttls`, 465 for `tls`, 25 for `none`",
        examples=["587"],
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="How the connection is kept secret; with `starttls` nothing is sent to a server"
        " that cannot",
        examples=["starttls"],
    )
    username: Text | None = Field(
        None, description="Who logs in; nobody when not given", examples=["hedgerow"]
    )
    password: Parameter | None = Field(
        None, description="The password of `username`", examples=["${SMTP_PASSWORD}"]
    )
    sender: Address = Field(
        alias="from", description="Whom it comes from", examples=["hedgerow@example.com"]
    )
    to: tuple[Address, ...] = Field(
        min_length=1, max_length=50, description="Who gets it", examples=["[ops@example.com]"]
    )

    @model_validator(mode="after")
    def _logs_in_safely(self) -> Self:
        if (self.username is None) is not (self.password is None):
            raise wrong("has only one of username and password", "write both, or neither")
        if self.password is not None and self.security == "none":
            raise wrong(
                "would send its password for everybody to read",
                "write security: starttls or tls, or take username and password out",
            )
        return self


class LogSpec(Part):
    """A line in Hedgerow's own log."""

    kind: Literal["log"] = Field(description="A line in the log", examples=["log"])


NotifySpec: TypeAlias = Annotated[WebhookSpec | EmailSpec | LogSpec, Field(discriminator="kind")]
