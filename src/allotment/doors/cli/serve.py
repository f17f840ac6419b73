"""`allotment serve`: the book for others, over HTTP.

Invariant: what is served is what the command line works on; without TLS only to this machine,
unless somebody says otherwise.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from allotment.doors.cli.grammar import DoorCommand
from allotment.doors.cli.invocation import Invocation

if TYPE_CHECKING:
    from allotment.doors.rest.oidc_claims import OidcSettings
    from allotment.doors.rest.settings import Listening, Rates

_RATE = re.compile(r"(token|actor|source|failures)=(?:(off)|(\d+(?:\.\d+)?)(?::(\d+))?)", re.ASCII)


@click.command("serve", cls=DoorCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8470, show_default=True,
    help="The port to listen on; 0: any that is free.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True,
    help="How many processes serve; more than one needs PostgreSQL.",
)  # fmt: skip
@click.option(
    "--threads", type=click.IntRange(1, 512), default=64, show_default=True,
    help="How many requests a process serves at once; the others wait.",
)  # fmt: skip
@click.option("--tls-cert", metavar="FILE", help="The certificate chain, in PEM.")
@click.option("--tls-key", metavar="FILE", help="The certificate's key, in PEM.")
@click.option(
    "--allow-plain-http", is_flag=True, help="Serve other machines without TLS: behind a proxy."
)
@click.option("--create", is_flag=True, help="Make the book, or upgrade an older one, first.")
@click.option(
    "--first-token", is_flag=True,
    help="In a book without tokens: make an administrator's, and print it, once.",
)  # fmt: skip
@click.option(
    "--log-format", type=click.Choice(["json", "text"]), default="json", show_default=True,
    help="How to log, on the standard error.",
)  # fmt: skip
@click.option("--no-request-log", is_flag=True, help="Log no line for each request.")
@click.option(
    "--trusted-proxy", "proxies", metavar="CIDR", multiple=True,
    help="Believe X-Forwarded-For of these peers; may be repeated.",
)  # fmt: skip
@click.option(
    "--rate", "rates", metavar="WHO=RATE[:BURST]", multiple=True,
    help="Limit WHO (token, actor, source, failures) to so many a second; 'off' lifts a limit."
    " Default: failures=1:60, the failed logins of a source; may be repeated.",
)  # fmt: skip
@click.option("--oidc-issuer", metavar="URL", help="Let in users of this identity provider.")
@click.option("--oidc-audience", metavar="TEXT", help="What their tokens must be meant for.")
@click.option(
    "--oidc-algorithm", "oidc_algorithms", metavar="NAME", multiple=True,
    help="How their tokens may be signed; may be repeated. Default: RS256.",
)  # fmt: skip
@click.option(
    "--oidc-groups-claim", default="groups", show_default=True, metavar="NAME",
    help="The claim that holds their groups.",
)  # fmt: skip
@click.option(
    "--oidc-ca-file", metavar="FILE", help="Certificates to trust for the issuer, instead of all."
)
@click.option(
    "--grace", type=click.IntRange(0, 3600), default=30, show_default=True, metavar="SECONDS",
    help="How long accepted requests may take when the server is told to stop.",
)  # fmt: skip
@click.pass_obj
def serve(invocation: Invocation, /, **options: Any) -> None:  # Any: as click has it
    """Serve the book over HTTP, to programs and other machines, until SIGTERM or Ctrl-C.

    The service is described at /openapi.json and /docs. Everything but /healthz and /readyz needs
    a token.

    \b
    Examples:
      allotment serve --first-token
      allotment serve --database postgresql://ipam@db/ipam --workers 4 --host 0.0.0.0 \\
        --tls-cert server.pem --tls-key server.key
    """
    invocation.refuse_server("'serve' serves the book in a database")
    from allotment.doors.rest.server import run

    run(_listening(invocation, options), click.echo)


def _listening(invocation: Invocation, options: dict[str, Any]) -> Listening:
    from allotment.doors.rest.settings import Listening, Settings
    from allotment.model.prefix import parse_prefix

    door = Settings(
        threads=options["threads"],
        trusted_proxies=tuple(parse_prefix(text, "trusted-proxy") for text in options["proxies"]),
        rates=_rates(options["rates"]),
        log_requests=not options["no_request_log"],
    )
    kept = ["host", "port", "workers", "tls_cert", "tls_key", "allow_plain_http"]
    kept += ["create", "first_token"]
    return Listening(
        database=invocation.database,
        grace_seconds=options["grace"],
        log_format=options["log_format"],
        oidc=_oidc(options),
        door=door,
        **{name: options[name] for name in kept},
    )


def _oidc(options: dict[str, Any]) -> OidcSettings | None:
    issuer, audience = options["oidc_issuer"], options["oidc_audience"]
    if issuer is None and audience is None:
        return None
    if issuer is None or audience is None:
        raise click.UsageError("--oidc-issuer and --oidc-audience go together")
    from pathlib import Path

    from allotment.doors.rest.oidc_claims import OidcSettings

    trusted = options["oidc_ca_file"]
    return OidcSettings(
        issuer=issuer,
        audience=audience,
        algorithms=options["oidc_algorithms"] or ("RS256",),
        groups_claim=options["oidc_groups_claim"],
        ca_file=None if trusted is None else Path(trusted),
    )


def _rates(texts: tuple[str, ...]) -> Rates:
    from msgspec.structs import replace

    from allotment.doors.rest.settings import Rate, Rates

    rates = Rates()
    for text in texts:
        match = _RATE.fullmatch(text)
        if match is None:
            form = "write WHO=RATE or WHO=RATE:BURST, as in token=100:500, or WHO=off"
            raise click.BadParameter(f"{text!r}: {form}", param_hint="--rate")
        who, off, rate, burst = match.groups()
        if off is None and float(rate) == 0:
            raise click.BadParameter(f"{text!r}: the rate must be above 0", param_hint="--rate")
        new = None if off else Rate(float(rate), float(burst or max(1.0, 2 * float(rate))))
        rates = replace(rates, **{who: new})
    return rates
