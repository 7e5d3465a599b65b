"""The frame of a page: its style, and the script without which it can be read and printed too."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from ann_ckpt.markup import STYLE, escaped

__all__ = ["document"]

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c1f24;--soft:#5a6270;--line:#d5d9e0;
--card:#f6f7f9;--link:#0b57b5;--good:#1d6b34;--bad:#a4211b}
@media (prefers-color-scheme:dark){:root{--paper:#15171b;--ink:#e6e8ec;--soft:#a9b1bf;--line:#373c45;
--card:#1d2026;--link:#82b4ff;--good:#7fd196;--bad:#ff9a92}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif;
overflow-wrap:break-word}
body>*{max-width:1320px;margin-inline:auto;padding-inline:clamp(14px,3vw,40px)}
.ac{font-size:15px;max-width:none}
h1{font-size:1.6rem;margin:1.2rem 0 .2rem;overflow-wrap:anywhere;line-height:1.25}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.2rem 0 .3rem;overflow-wrap:anywhere}
a{color:var(--link)}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;padding:0;margin:.6rem 0}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;background:var(--paper);padding:.4em}
.badges{display:flex;flex-wrap:wrap;gap:.5rem;padding:0;margin:.6rem 0;list-style:none}
.badges li{border:1px solid var(--line);border-radius:.4rem;padding:.15rem .6rem;background:var(--card)}
.badges .good{color:var(--good);border-color:currentColor}
.badges .bad{color:var(--bad);border-color:currentColor}
.scroll{overflow-x:auto}
.scroll:focus{outline:2px solid var(--link);outline-offset:2px}
.ac thead th{border-bottom-color:var(--line)}
.ac th,.ac td{overflow-wrap:anywhere}
.scroll th,.scroll td{max-width:46ch;overflow-wrap:break-word}
.badges li{overflow-wrap:anywhere}
.ac-fig,.moving>*{min-width:0;max-width:100%}
.controls label{max-width:100%;display:flex;flex-wrap:wrap;gap:.2rem .6rem;align-items:center}
.ac .ac-fig{flex:1 1 320px}
.moving>*{flex:1 1 320px}
.moving>div{max-width:400px}
.controls label select{width:min(100%,22rem)}
.ac tbody th{min-width:7em;font-weight:500;color:var(--soft)}
.ac .ac-note{opacity:1;color:var(--soft)}
.ac figcaption{font-size:14px}
.ac pre{font-size:13px;background:var(--card);padding:.6em .8em;border-radius:.4rem}
article{border:1px solid var(--line);border-radius:.5rem;padding:.2rem 1rem .8rem;margin:.9rem 0;
break-inside:avoid-page}
.controls{display:none;gap:.7rem;align-items:center;flex-wrap:wrap;margin:.5rem 0}
.js .controls{display:flex}
select,input[type=range]{font:inherit;color:inherit;background:var(--card);accent-color:var(--link);max-width:100%}
select{border:1px solid var(--line);border-radius:.3rem;padding:.25rem .4rem}
input[type=range]{width:min(320px,70vw);height:1.8rem}
[hidden]{display:none}
.moving{display:flex;flex-wrap:wrap;gap:.4rem 1.4rem;align-items:flex-start}
footer{color:var(--soft);margin-top:2.5rem;padding-block:1rem}
footer p{border-top:1px solid var(--line);padding-top:1rem}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--card:#fff;--link:#000}
nav,.skip,.js .controls{display:none}
article[hidden]{display:block}
body{font-size:11pt}
figure,tr,.together{break-inside:avoid}
h2,h3{break-after:avoid}}
""".strip()

_SCRIPT = """
document.documentElement.classList.add("js");
for (const choose of document.querySelectorAll("select[data-choose]")) {
  const parts = document.querySelectorAll("article[data-of='" + choose.dataset.choose + "']");
  choose.addEventListener("change", () => {
    parts.forEach((part, i) => { part.hidden = choose.value !== "" && Number(choose.value) !== i; });
  });
}
for (const slider of document.querySelectorAll("input[type=range]")) {
  const frames = slider.closest("article").querySelectorAll("[data-frame]");
  const said = slider.closest(".controls").querySelector("output");
  const move = () => {
    frames.forEach((frame, i) => { frame.hidden = i !== Number(slider.value); });
    said.textContent = frames[slider.value].dataset.frame;
    slider.setAttribute("aria-valuetext", said.textContent);
  };
  slider.addEventListener("input", move);
  move();
}
""".strip()


def document(title: str, head: str, sections: Sequence[tuple[str, str, str]], foot: str) -> str:
    """Return a page.

    Parameters
    ----------
    title : str
        Text.
    head, foot : str
        HTML.
    sections : sequence of (str, str, str)
        For each an id, its title, which is text, and its HTML.
    """
    # Whatever a name in the file may have brought along, the browser runs this script and no other one,
    # and asks nobody for anything.
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    links = "".join(f'<li><a href="#{key}">{escaped(name, 60)}</a></li>' for key, name, _ in sections)
    body = "".join(
        f'<section id="{key}" aria-labelledby="{key}-title">'
        f'<h2 id="{key}-title">{escaped(name, 60)}</h2>{html}</section>'
        for key, name, html in sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escaped(title, 120)}</title><style>{STYLE}\n{_STYLE}</style></head>"
        f'<body class="ac"><a class="skip" href="#content">To the content</a>'
        f"<header><h1>{escaped(title, 200)}</h1>{head}"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header><main id="content">{body}</main>'
        f"<footer>{foot}</footer><script>{_SCRIPT}</script></body></html>\n"
    )
