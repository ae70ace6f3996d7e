"""Channels as they are written: what they become, and what is said of those that are wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from hedgerow.files.config_errors import explain
from hedgerow.files.notify_spec import EmailSpec, LogSpec, NotifySpec, WebhookSpec
from hedgerow.files.settings import Name, Part
from hedgerow.files.settings_reference import settings_of
from hedgerow.files.yaml_source import read_yaml
from hedgerow.notifications.channels import channels, webhook_session
from hedgerow.notifications.journal import Journal
from hedgerow.notifications.mail import Mail
from hedgerow.notifications.webhook import Webhook
from proxy.clock import SystemClock
from tests.hedgerow.notifications.receivers import hook, mailbox
from tests.ledger.test_notices import notice

ENVIRON = {"SECRET": "whsec_1", "PASSWORD": "open sesame", "SLACK": "https://hooks.test/s3cret"}
MAIL = "host: localhost, from: hedgerow@example.com, to: [ops@example.com]"


class File(Part):
    """A file with channels."""

    notify: Mapping[Name, NotifySpec] = Field(description="Channels")


def read(text: str, folder: Path) -> tuple[Mapping[str, NotifySpec], list[str]]:
    """The channels, and everything that is wrong with them."""
    path = folder / "hedgerow.yaml"
    path.write_text(text, encoding="utf-8")
    source = read_yaml(path, ENVIRON)
    found: Mapping[str, NotifySpec] = {}
    try:
        found = File.model_validate(source.data).notify
    except ValidationError as invalid:
        explain(invalid, File, source)
    return found, [str(one).removeprefix(f"{path}:") for one in source.errors.values()]


def test_the_documented_ones_are_right(tmp_path: Path) -> None:
    """What docs/notifications.md shows can be written so."""
    page = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text(encoding="utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    for name in ("OPS_WEBHOOK_SECRET", "SMTP_PASSWORD"):
        text = text.replace(name, "SECRET")
    found, errors = read(text.replace("SLACK_WEBHOOK_URL", "SLACK"), tmp_path)
    assert errors == []
    assert [(name, spec.kind) for name, spec in found.items()] == [
        ("ops-webhook", "webhook"),
        ("slack", "webhook"),
        ("mail", "email"),
        ("journal", "log"),
    ]


def test_what_is_not_written(tmp_path: Path) -> None:
    """Mail goes over STARTTLS; a webhook without a secret is not signed; no URL is shown."""
    text = f"""\
notify:
  hook: {{kind: webhook, url: "${{SLACK}}"}}
  mail: {{kind: email, {MAIL}}}
"""
    found, errors = read(text, tmp_path)
    assert errors == []
    hook_spec, mail_spec = found["hook"], found["mail"]
    assert isinstance(hook_spec, WebhookSpec)
    assert hook_spec.secret is None
    assert isinstance(mail_spec, EmailSpec)
    assert (mail_spec.security, mail_spec.port, mail_spec.username) == ("starttls", None, None)
    assert mail_spec.sender == "hedgerow@example.com"
    assert "s3cret" not in repr(found)


WRONG = {
    "{url: https://a.test}": "1: notify.x.kind: is missing; write, for example, kind: webhook",
    "{kind: pager}": '1: notify.x.kind: "pager" is not supported; write webhook, email or log',
    "hello": "1: notify.x: must hold keys of its own; write, for example, kind: webhook",
    "{kind: webhook}": "1: notify.x.url: is missing; write, for example, url:"
    " https://ops.example.com/hook",
    "{kind: webhook, url: https://a.test, secre: x}": "1: notify.x.secre: unknown key; did you mean"
    ' "secret"?',
    "{kind: log, url: https://a.test}": "1: notify.x.url: unknown key; known here: kind",
    "{kind: webhook, url: ftp://a.test}": "1: notify.x.url: is no http or https URL; write, for"
    " example, https://ops.example.com/hook",
    "{kind: webhook, url: 'http://[a'}": "1: notify.x.url: is no URL; write, for example,"
    " https://ops.example.com/hook",
    "{kind: webhook, url: 'https://u:p@a.test'}": "1: notify.x.url: has a user or password in it;"
    " let the receiver check the signature instead",
    "{kind: webhook, url: 'https://a.test/#x'}": "1: notify.x.url: has a # in it; take it and what"
    " follows out",
    f"{{kind: email, {MAIL}, port: 70000}}": '1: notify.x.port: "70000" is too large; write 65535'
    " or less",
    f"{{kind: email, {MAIL}, security: ssl}}": '1: notify.x.security: "ssl" is not supported; write'
    " starttls, tls or none",
    f"{{kind: email, {MAIL}, username: u}}": "1: notify.x: has only one of username and password;"
    " write both, or neither",
    f"{{kind: email, {MAIL}, username: u, password: p, security: none}}": "1: notify.x: would send"
    " its password for everybody to read; write security: starttls or tls, or take username and"
    " password out",
    "{kind: email, host: a b, from: a@b, to: [c@d]}": '1: notify.x.host: "a b" is no host name;'
    " write, for example, smtp.example.com",
    "{kind: email, host: a, frm: a@b, to: [c@d]}": "1: notify.x.frm: unknown key; did you mean"
    ' "from"?',
    "{kind: email, host: a, from: a@b, to: [c]}": '1: notify.x.to[0]: "c" is no e-mail address;'
    " write, for example, ops@example.com",
    "{kind: email, host: a, from: a@b, to: []}": "1: notify.x.to: is empty; write at least 1:"
    " [ops@example.com]",
    r'{kind: email, host: a, from: "a@b\nBcc: x@y", to: [c@d]}': "1: notify.x.from:"
    r' "a@b\nBcc: x@y" is no e-mail address; write, for example, ops@example.com',
}


@pytest.mark.parametrize(("written", "error"), WRONG.items())
def test_what_is_wrong_is_said_once(written: str, error: str, tmp_path: Path) -> None:
    """Where, what, and what to write instead; nothing else besides, and no secret in it."""
    _, errors = read(f"notify: {{x: {written}}}", tmp_path)
    assert errors == [error]


def test_a_channel_may_be_called_like_a_kind(tmp_path: Path) -> None:
    """A name is a name, also where it is `webhook`."""
    _, errors = read("notify: {webhook: {kind: webhook}, log: {kind: lock}}", tmp_path)
    assert [one.partition(";")[0] for one in errors] == [
        "1: notify.webhook.url: is missing",
        '1: notify.log.kind: "lock" is not supported',
    ]


def test_the_reference_has_each_kind_with_its_keys() -> None:
    """A row for every key of every kind, by the name that is written."""
    rows = {one.path: one for one in settings_of(File)}
    assert list(rows) == [
        "notify",
        *(f"notify.<name>.{key}" for key in ("kind", "url", "secret", "host", "port", "security")),
        *(f"notify.<name>.{key}" for key in ("username", "password", "from", "to")),
    ]
    assert rows["notify"].type == "keys by name"
    kind, port = rows["notify.<name>.kind"], rows["notify.<name>.port"]
    assert kind.type == "`webhook` or `email` or `log`"
    assert kind.meaning.startswith("`webhook`: JSON by POST; `email`: ")
    assert port.meaning.startswith("With `kind: email`. Its port")


async def test_from_the_file_to_the_receivers(tmp_path: Path) -> None:
    """Each becomes a channel of its kind, which works."""
    async with hook() as receiver, mailbox() as box, webhook_session() as session:
        text = f"""\
notify:
  hook: {{kind: webhook, url: "{receiver.url}", secret: "${{SECRET}}"}}
  mail: {{kind: email, {MAIL}, port: {box.port}, security: none}}
  journal: {{kind: log}}
"""
        specs, errors = await asyncio.to_thread(read, text, tmp_path)
        assert errors == []
        assert isinstance(specs["journal"], LogSpec)
        made = channels(specs, session, SystemClock())
        for channel in made.values():
            await channel.send(notice())
    assert [type(one) for one in made.values()] == [Webhook, Mail, Journal]
    assert receiver.headers[0]["x-hedgerow-signature"].startswith("t=")
    assert box.recipients == [["ops@example.com"]]
