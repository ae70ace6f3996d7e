"""Mail: readable, the same each time, and never in the clear where it was to be secret."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from hedgerow.errors import NotSent
from hedgerow.notifications.mail import Mail, MailServer, Security, message
from tests.hedgerow.notifications.receivers import Mailbox, mailbox
from tests.ledger.test_notices import notice

SENDER, OPS, BOSS = "hedgerow@example.com", "ops@example.com", "boss@example.com"


class Authority:
    """A certificate for localhost: who has it, and who trusts it."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        pem = folder / "localhost.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(pem)
        self.client = ssl.create_default_context(cafile=str(pem))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def at(
    box: Mailbox,
    security: Security = "none",
    username: str | None = None,
    password: str | None = None,
) -> MailServer:
    return MailServer("localhost", box.port, security, username, password)


async def test_what_arrives() -> None:
    """One message to all recipients: plain text, from whom it says, with the notice's id."""
    async with mailbox() as box:
        await Mail(at(box), SENDER, [OPS, BOSS]).send(notice())
    [mail] = box.mails
    assert box.recipients == [[OPS, BOSS]]
    assert (mail["From"], mail["To"]) == (SENDER, f"{OPS}, {BOSS}")
    assert mail["Subject"] == "[Hedgerow] budget research-month (team=research) reached 85%"
    assert mail["Message-ID"] == f"<{notice().id}@example.com>"
    assert mail["Date"] == "Sat, 14 Mar 2026 15:09:26 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == [notice().text(), "", f"Notice {notice().id}"]


@given(st.text(max_size=100))
def test_no_name_writes_a_header(name: str) -> None:
    """Whatever a budget and its members are called, a message has the headers that we gave it."""
    headers = message(notice(), SENDER, [OPS]).keys()
    mail = message(notice(budget=name, scope=name, about=name), SENDER, [OPS])
    assert mail.keys()[: len(headers)] == headers
    assert bytes(mail)
    assert mail["To"] == OPS


def test_tries_of_one_notice_are_one_message() -> None:
    """Every byte is the same however often it is sent."""
    assert bytes(message(notice(), SENDER, [OPS])) == bytes(message(notice(), SENDER, [OPS]))


# aiosmtpd counts only STARTTLS as TLS
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_over_tls_with_a_password(authority: Authority, security: Security) -> None:
    """It logs in, and all of it is encrypted: from the start, or after STARTTLS."""
    async with mailbox(tls=authority.server, at_once=security == "tls", auth=True) as box:
        server = at(box, security, "hedgerow", "open sesame")
        await Mail(server, SENDER, [OPS], authority.client).send(notice())
    assert box.users == [b"hedgerow"]
    assert [mail["To"] for mail in box.mails] == [OPS]


async def test_a_wrong_password_is_said(authority: Authority) -> None:
    """The reason is the server's, and has no password in it."""
    async with mailbox(tls=authority.server, auth=True) as box:
        server = at(box, "starttls", "hedgerow", "s3cret")
        with pytest.raises(NotSent, match=r"localhost: 535 5\.7\.8 Authentication") as error:
            await Mail(server, SENDER, [OPS], authority.client).send(notice())
    assert "s3cret" not in str(error.value)
    assert box.mails == []


@pytest.mark.parametrize("login", [("hedgerow", "open sesame"), (None, None)])
async def test_starttls_is_no_wish(
    authority: Authority, login: tuple[str, str] | tuple[None, None]
) -> None:
    """A server without TLS, or whoever stands before it, gets neither password nor message."""
    async with mailbox() as box:
        server = at(box, "starttls", *login)
        with pytest.raises(NotSent, match="STARTTLS"):
            await Mail(server, SENDER, [OPS], authority.client).send(notice())
    assert (box.users, box.mails) == ([], [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_stranger_is_not_trusted(authority: Authority, security: Security) -> None:
    """A certificate of nobody whom the system trusts ends it."""
    async with mailbox(tls=authority.server, at_once=security == "tls") as box:
        with pytest.raises(NotSent, match=r"(?i)certificate"):
            await Mail(at(box, security), SENDER, [OPS]).send(notice())
    assert box.mails == []


async def test_who_is_refused_keeps_it_from_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """One unknown recipient among others: they have it, once, and the log names the one."""
    async with mailbox(unknown=frozenset({BOSS})) as box:
        with caplog.at_level(logging.ERROR, "hedgerow"):
            await Mail(at(box), SENDER, [OPS, BOSS]).send(notice())
    assert box.recipients == [[OPS]]
    assert f"was not mailed to {BOSS}: 550 5.1.1 nobody here" in caplog.text


async def test_nobody_to_take_it() -> None:
    """If all are refused, or nobody listens, it was not sent."""
    async with mailbox(unknown=frozenset({OPS})) as box:
        with pytest.raises(NotSent, match=f"localhost: {OPS}: 550 5.1.1 nobody here"):
            await Mail(at(box), SENDER, [OPS]).send(notice())
        server = at(box)
    with pytest.raises(NotSent, match="localhost"):
        await Mail(server, SENDER, [OPS]).send(notice())
