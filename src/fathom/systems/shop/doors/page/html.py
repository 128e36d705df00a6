"""What every page of the storefront looks like: HTML that loads nothing from elsewhere, for phones first, no script."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from fathom.web.app import Reply

from ...api import Money

__all__ = ["STYLE", "button", "document", "escape", "field", "hidden", "money", "page"]

# ISO 4217's currencies whose minor unit is not a hundredth.
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"

STYLE = (
    ":root{color-scheme:light dark;--ink:light-dark(#1b1b1f,#ececf1);--soft:light-dark(#55555f,#b4b4c0);"
    "--line:light-dark(#85858f,#74747f);--back:light-dark(#fff,#17171b);--card:light-dark(#f5f5f8,#222228);"
    "--go:light-dark(#0b5394,#9cc7f2);--on-go:light-dark(#fff,#0c1d2e);--no:light-dark(#a3160f,#ffa29a)}"
    "*{box-sizing:border-box}"
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0 auto;max-width:44rem;padding:0 1rem 3rem;"
    "color:var(--ink);background:var(--back)}"
    "header,nav{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:baseline}"
    "header{padding:.8rem 0;border-bottom:1px solid var(--line);justify-content:space-between}"
    "header b{font-size:1.2rem}a{color:var(--go)}h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.15rem}"
    "nav a,nav button{display:inline-block;padding:.35rem 0}"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:.5rem;top:.5rem;background:var(--back);padding:.5rem}"
    "ul.plain{list-style:none;padding:0}"
    "ul.plain>li{background:var(--card);border-radius:.6rem;padding:.7rem .9rem;margin:.6rem 0}"
    "ul.plain a{font-weight:600}.soft{color:var(--soft)}.price{font-variant-numeric:tabular-nums}"
    "img{max-width:100%;height:auto;border-radius:.5rem}"
    "button,input,select{font:inherit;color:inherit}"
    "input:not([type=checkbox]),select{width:100%;padding:.55rem;border:1px solid var(--line);"
    "border-radius:.4rem;background:var(--back)}"
    "label.field{display:block;margin:.7rem 0}"
    "button{padding:.6rem 1.1rem;border-radius:.5rem;border:1px solid var(--go);background:var(--go);"
    "color:var(--on-go);font-weight:600;min-height:2.75rem;cursor:pointer}"
    "button.quiet{background:none;color:var(--go)}nav button{border:0;background:none;color:var(--go);padding:.35rem 0;"
    "font-weight:400;text-decoration:underline;min-height:0}"
    ":focus-visible{outline:3px solid var(--go);outline-offset:2px}"
    "form.inline{display:inline}fieldset{border:0;padding:0;margin:0;min-width:0}legend{font-weight:600;padding:0}"
    ".map{overflow-x:auto;padding:.4rem 0}"
    ".row{display:flex;gap:.3rem;align-items:center;width:max-content;margin:.3rem 0}"
    ".row>b{width:1.6rem}.seat{position:relative}"
    ".seat input{position:absolute;inset:0;opacity:0;margin:0;width:100%;height:100%;cursor:pointer}"
    ".seat span{display:grid;place-items:center;width:2.75rem;height:2.75rem;border:1px solid var(--line);"
    "border-radius:.5rem;background:var(--card)}"
    ".seat input:checked+span{background:var(--go);color:var(--on-go);font-weight:700}"
    ".seat input:focus-visible+span{outline:3px solid var(--go);outline-offset:2px}"
    ".seat input:disabled+span{color:var(--soft);background:none;border-style:dashed;text-decoration:line-through}"
    ".said{border-left:.3rem solid var(--go);padding:.4rem .8rem;background:var(--card)}.wrong{border-color:var(--no)}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .4rem .4rem 0;vertical-align:top}"
    "td:last-child,th:last-child{text-align:right;padding-right:0;white-space:nowrap}"
    "tfoot{border-top:1px solid var(--line);font-weight:700}"
    ".ticket{border:2px dashed var(--line);border-radius:.8rem;padding:.8rem 1rem;margin:.7rem 0}"
    ".ticket b{font-size:1.6rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    # With no-referrer a browser calls the form's origin "null", and then it cannot be told from another's.
    (b"referrer-policy", b"same-origin"),
]


def money(amount: Money) -> str:
    """Return an amount as it is written.

    >>> money(Money(123456, "EUR")), money(Money(500, "JPY")), money(Money(5, "KWD")), money(Money(0, "EUR"))
    ('1,234.56 EUR', '500 JPY', '0.005 KWD', 'free')
    """
    if amount.amount == 0:
        return "free"
    digits = 0 if amount.currency in _WHOLE else 3 if amount.currency in _THOUSANDTHS else 2
    whole, part = divmod(amount.amount, 10**digits)
    return f"{whole:,}{f'.{part:0{digits}}' if digits else ''} {amount.currency}"


def hidden(**named: object) -> str:
    """Return fields that nobody sees."""
    return "".join(f'<input type=hidden name="{name}" value="{escape(str(value))}">' for name, value in named.items())


def field(label: str, name: str, more: str = "") -> str:
    """Return a field with its label."""
    return f'<label class=field>{escape(label)}<input name="{name}" {more}></label>'


def button(says: str, *, quiet: bool = False, more: str = "") -> str:
    return f"<button{' class=quiet' if quiet else ''} {more}>{escape(says)}</button>"


def document(title: str, nav: str, body: str, *, refresh_s: int = 0) -> bytes:
    """Return a whole page."""
    again = f"<meta http-equiv=refresh content={refresh_s}>" if refresh_s else ""
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width,initial-scale=1'>{again}"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        "<a class=skip href='#main'>Skip to the content</a>"
        f"<header><b><a href='/'>Shop</a></b><nav aria-label='You'>{nav}</nav></header>"
        f"<main id=main><h1>{escape(title)}</h1>{body}</main></body></html>"
    ).encode()


def page(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    """Return a page as it is sent."""
    return Reply(status, body, [*_HEADERS, *headers], b"text/html; charset=utf-8")
