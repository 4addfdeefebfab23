"""Reports as one HTML file: no script, no font, no picture from elsewhere.

It reads on a phone and on paper, in the light and in the dark. Whatever is put in is text and is
escaped here; a `Markup` is what this module has made itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c1f23;--soft:#5b636d;--line:#d9dde2;
--band:#f5f6f8;--good:#0b6e3a;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e6e8eb;--soft:#9aa3ad;
--line:#333a42;--band:#1d2126;--good:#5cc98c;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:60rem;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.4rem 0}
.soft{color:var(--soft)}
.verdict{margin:1rem 0;padding:.6rem .9rem;border-left:.35rem solid;background:var(--band)}
.good{color:var(--good)}.bad{color:var(--bad)}
.verdict b{font-size:1.1rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{font-weight:600;white-space:nowrap}
td.number,th.number{text-align:right;white-space:nowrap}
code{font:0.9em ui-monospace,monospace;overflow-wrap:anywhere}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--band:#fff}
body{max-width:none;padding:0;font-size:10pt}h2{break-after:avoid}tr{break-inside:avoid}
.wide{overflow:visible}}
"""


class Markup(str):
    """HTML that this module has made; everything else is text."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Any value as text."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def code(value: object) -> Markup:
    """A digest, a path or a command, which may break anywhere."""
    return Markup(f"<code>{text(value)}</code>")


def paragraph(*parts: object, soft: bool = False) -> Markup:
    """A paragraph of these parts, one after the other."""
    kind = ' class="soft"' if soft else ""
    return Markup(f"<p{kind}>{''.join(text(part) for part in parts)}</p>")


def verdict(good: bool, headline: str, detail: str = "") -> Markup:
    """The one thing that the page is about."""
    kind = "good" if good else "bad"
    return Markup(f'<div class="verdict {kind}"><b>{text(headline)}</b>{paragraph(detail)}</div>')


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()
) -> Markup:
    """A table; ``numbers`` are the columns that are set to the right."""

    def cells(tag: str, values: Sequence[object]) -> str:
        return "".join(
            f'<{tag} class="number">{text(value)}</{tag}>'
            if column in numbers
            else f"<{tag}>{text(value)}</{tag}>"
            for column, value in enumerate(values)
        )

    lines = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    top = f"<thead><tr>{cells('th', head)}</tr></thead>"
    return Markup(f'<div class="wide"><table>{top}<tbody>\n{lines}\n</tbody></table></div>')


def section(title: str, *parts: Markup) -> Markup:
    """A heading and what belongs below it."""
    return Markup("\n".join([f"<h2>{text(title)}</h2>", *parts]))


def page(title: str, subtitle: object, *parts: Markup) -> str:
    """The whole file."""
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{text(title)}</h1>\n{paragraph(subtitle, soft=True)}\n{body}\n</body>\n</html>\n"
    )
