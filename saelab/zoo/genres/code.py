"""Python, JSON, LaTeX: text that nests."""

from __future__ import annotations

from saelab.zoo.grammar import Rule, Writer, lines, words, writes

_KEYS = words(
    "id name title type status count price total email user items tags address city country created "
    "updated active "
    "enabled width height colour size version url path message level date order value score code"
)


def _kw(text: str) -> str:
    """``{word}`` in a template becomes that word, labelled as a keyword."""
    out = text
    for word in _PY_KEYWORDS:
        out = out.replace("{" + word + "}", f"<_k_{word.lower()}=python.keyword>")
    return out


_PY_KEYWORDS = words(
    "def return if else elif for in while import from as class try except with not and or is None True "
    "False lambda raise pass break continue assert yield"
)


def _json_value(w: Writer, depth: int) -> None:
    roll = w.random()
    if roll < 0.38:
        w.expand("_json_string", "json.string")
    elif roll < 0.62:
        number = w.pick(("<", "f", "l"))
        text = {
            "<": str(w.integer(0, 99)),
            "f": f"{w.integer(0, 99)}.{w.integer(0, 99)}",
            "l": str(w.integer(100, 9999)),
        }
        w.put(text[number], "json.number")
    elif roll < 0.76:
        w.put(w.pick(("true", "false", "null", "true", "false")), "json.literal")
    elif depth > 0:
        if w.chance(0.5):
            _json_object(w, depth - 1)
        else:
            start = w.length
            w.put("[")
            for i in range(w.integer(1, 3)):
                if i:
                    w.put(", ")
                w.expand("_json_string", "json.string") if roll < 0.88 else w.put(
                    str(w.integer(1, 999)), "json.number"
                )
            w.put("]")
            w.mark(start, "json.array")
    else:
        w.expand("_json_string", "json.string")


def _json_object(w: Writer, depth: int, indent: str = "") -> None:
    """An object on one line, or on several with an indent."""
    used: set[str] = set()
    gap = "\n" + indent if indent else ""
    w.put("{" + gap)
    for i in range(w.integer(2, 5)):
        key = w.pick(_KEYS)
        if key in used:
            continue
        used.add(key)
        if i:
            w.put("," + (gap or " "))
        w.put(f'"{key}"', "json.key")
        w.put(": ")
        _json_value(w, depth)
    w.put("\n}" if indent else "}")


@writes("json.key", "json.string", "json.number", "json.literal", "json.array")
def _json_document(w: Writer) -> None:
    roll = w.random()
    if roll < 0.5:
        _json_object(w, 2, w.pick(("  ", "    ")))
    elif roll < 0.75:
        w.put("[")
        for i in range(w.integer(2, 3)):
            w.put(", " if i else "")
            _json_object(w, 1)
        w.put("]")
    else:
        for _ in range(w.integer(2, 3)):
            _json_object(w, 1)
            w.put("\n")


def _json_short(w: Writer) -> None:
    _json_object(w, 0)


_STATEMENTS = lines(r"""
    <_var> = <_expr>\n
    <_var> = <_expr>\n
    <_var> = <python.call>\n
    <_var>, <_var> = <_expr>, <_expr>\n
    <_var> += <_expr>\n
    <python.call>\n
    {assert} <_cond>, <python.string>\n
    <_var> = [<_expr> {for} <_var> {in} <_iter> {if} <_cond>]\n
    <_var>[<_expr>] = <_expr>\n
    <_var> = {lambda} x: x <_op> <python.number>\n
    self.<_var> = <_expr>\n
    <python.comment>\n
""")

RULES: dict[str, Rule] = {
    **{f"_k_{k.lower()}": (k,) for k in _PY_KEYWORDS},
    # ------------------------------------------------------------------------------------------------ python
    "python": (
        *map(
            _kw,
            (
                "<_imports>\n\n<_function>",
                "<_imports>\n<_function>\n\n<_function>",
                "<_function>\n\n<_function>",
                "<_imports>\n\n<_class>",
                "<_class>\n<_function>",
                "<_imports>\n\n<_script><_script><_script><_script>",
                "<python.comment>\n<_script><_script><_script><_script>",
                '<_function>\n\n{if} __name__ == "__main__":\n    <python.call>\n',
            ),
        ),
        "<_function>\n\nDATA = '''\n<_json_short=json>\n'''\n",
    ),
    "_py_short": ("<_function>",),
    "_imports": tuple(
        map(
            _kw,
            (
                "{import} <_module>\n<_more_imports>",
                "{from} <_module> {import} <python.function_name>\n<_more_imports>",
            ),
        )
    ),
    "_more_imports": tuple(map(_kw, ("", "{import} <_module>\n", "{import} <_module> {as} <_short>\n"))),
    "_module": words(
        "os sys re json math time random itertools collections pathlib logging numpy pandas datetime csv"
    ),
    "_short": words("np pd m t js"),
    "_function": tuple(
        map(
            _kw,
            (
                "{def} <python.function_name>(<_args>):\n<_doc><_body>    {return} <_expr>\n",
                "{def} <python.function_name>(<_args>) -> <_ptype>:\n<_doc><_body>    {return} <_expr>\n",
                "{def} <python.function_name>(<_args>):\n    {for} <_var> {in} <_iter>:\n        <_st>    "
                "    <_st>    {return} <_var>\n",
                "{def} <python.function_name>(<_args>):\n    {if} <_cond>:\n        {return} <_expr>\n    "
                "<_st>    {return} <_expr>\n",
                "{def} <python.function_name>(<_args>):\n    {try}:\n        <_st>    {except} "
                "<python.exception>:\n        {return} {None}\n"
                "    {return} <_var>\n",
                "{def} <python.function_name>(<_args>):\n    {while} <_cond>:\n        <_st>        <_st> "
                "   {raise} "
                "<python.exception>(<python.string>)\n",
                "{def} <python.function_name>(<_args>):\n    {with} open(<_var>) {as} file:\n        "
                "{for} line {in} file:\n            "
                "<_st>    {return} <_var>\n",
            ),
        )
    ),
    "_class": tuple(
        map(
            _kw,
            (
                "{class} <python.class_name>:\n<_doc>    {def} __init__(self, <_args>):\n        "
                "self.<_var> = <_var>\n        <_st>\n"
                "    {def} <python.function_name>(self):\n        {return} self.<_var>\n",
                "{class} <python.class_name>(<python.class_name>):\n    {def} "
                "<python.function_name>(self, <_args>):\n        <_st>        "
                "{return} <_expr>\n",
            ),
        )
    ),
    "_script": tuple(
        map(
            _kw,
            (
                *_STATEMENTS,
                *_STATEMENTS,
                "{for} <_var> {in} <_iter>:\n    <_st>",
                "{if} <_cond>:\n    <_st>{else}:\n    <_st>",
                "{with} open(<python.string>) {as} file:\n    <_st>",
            ),
        )
    ),
    "_body": ("    <_st>", "    <_st>    <_st>", "    <_st>    <_st>    <_st>"),
    "_st": tuple(map(_kw, _STATEMENTS)),
    "_doc": ("", "", "    <python.docstring>\n"),
    "python.docstring": (
        '"""<_docverb> the <_var> of <_noun>s."""',
        '"""<_docverb> all <_noun>s."""',
        '"""<_docverb> the <_var>."""',
    ),
    "_docverb": words("Return Compute Print Load Save Sort Count Find Check Parse Update Merge"),
    "python.comment": (
        "# <_docverb> the <_thing>",
        "# TODO: <_docverb> the <_var>",
        "# skip the <_thing>",
        "# the <_noun> is <_adj>",
    ),
    "_args": (
        "<_var>",
        "<_var>, <_var>",
        "<_var>, <_var>=<python.number>",
        "<_var>: <_ptype>",
        "<_var>: <_ptype>, <_var>: <_ptype>",
        "<_var>=None",
        "*args, **kwargs",
    ),
    "_ptype": words("int str float list dict bool list[int] dict[str,int]"),
    "python.function_name": (
        "<_pverb>_<_pnoun>",
        "<_pverb>_<_pnoun>",
        "<_pverb>",
        "is_<_adj>",
        "_<_pverb>_<_pnoun>",
    ),
    "_pverb": words(
        "get set load save parse print compute merge sort count find check read write update build make "
        "add split"
    ),
    "_pnoun": words(
        "file line row user item path price name text tree node list value total index score table word key"
    ),
    "python.class_name": ("<_cls>", "<_cls>Error", "<^_pnoun><_cls>", "Base<_cls>"),
    "_cls": words(
        "Reader Writer Parser Node Tree Queue Stack Model Loader Counter Table Client Server Cache"
    ),
    "python.exception": words("ValueError KeyError TypeError IndexError RuntimeError OSError StopIteration"),
    "_var": words(
        "x y i n a b k data items result total count value name line text rows path key index word score "
        "left right "
        "node out width height user"
    ),
    "_iter": (
        "range(<python.number>)",
        "range(len(<_var>))",
        "<_var>",
        "<_var>.items()",
        "enumerate(<_var>)",
        "zip(<_var>, <_var>)",
        "sorted(<_var>)",
    ),
    "_cond": tuple(
        map(
            _kw,
            (
                "<_var> <_cmp> <python.number>",
                "{not} <_var>",
                "<_var> {is} {None}",
                "<_var> {in} <_var>",
                "len(<_var>) <_cmp> <python.number>",
                "<_var> <_cmp> <_var> {and} <_var>",
                "isinstance(<_var>, <_ptype>)",
            ),
        )
    ),
    "_cmp": words("< > == != <= >="),
    "_op": words("+ - * / // % **"),
    "_expr": tuple(
        map(
            _kw,
            (
                "<_var>",
                "<_var> <_op> <python.number>",
                "<_var> <_op> <_var>",
                "<python.call>",
                "<python.string>",
                "<python.number>",
                "[<_var>, <_var>]",
                "{<python.string>: <_var>}",
                "{None}",
                "{True}",
                "{False}",
                "<_var>[<python.number>]",
                "<_var>[<python.string>]",
                "<_var>.<_pnoun>",
            ),
        )
    ),
    "python.call": (
        "print(<_var>)",
        "print(<python.string>)",
        "len(<_var>)",
        "<python.function_name>(<_var>)",
        "<_var>.append(<_var>)",
        "sum(<_var>)",
        "max(<_var>, <python.number>)",
        "<_var>.split(<python.string>)",
        "str(<_var>)",
        "sorted(<_var>)",
        "<_var>.get(<python.string>)",
        "int(<_var>)",
        "<python.string>.join(<_var>)",
        "<python.function_name>(<_var>, <_var>)",
    ),
    "python.string": (
        '"<_pnoun>"',
        '"<_thing>"',
        "'<_pnoun>'",
        "'<_noun>'",
        'f"{<_var>}: {<_var>}"',
        '"<_adj>_<_noun>"',
        '""',
        '", "',
    ),
    "python.number": ("<0..9>", "<10..99>", "0.<1..9>", "<1..9>00", "-1", "0", "1"),
    # -------------------------------------------------------------------------------------------------- json
    "json": (
        *["<_json_document>"] * 14,
        '{"status": "ok", "text": "<_story_plain=story><_story_plain=story>"}',
        '{"name": "<_noun>.png", "encoding": "base64", "data": "<_b64_short=base64>"}',
    ),
    "_json_document": _json_document,
    "_json_short": _json_short,
    "_json_string": (
        '"<_noun>"',
        '"<_noun>"',
        '"<_adj>"',
        '"<_name> <_surname>"',
        '"<_city>"',
        '"<_user>@<_domain>"',
        '"<_colour>"',
        '"20<1..2><_d>-0<1..9>-<1..2><_d>"',
        '"https://<_domain>/<_noun>"',
        '"<_adj>-<_noun>"',
        '"<_hex*8-8>"',
        '"<1..9>.<0..20>.<0..9>"',
        '"<_food>"',
        '"the <_thing>"',
        '"/<_noun>/<_noun>"',
        '""',
    ),
    # ------------------------------------------------------------------------------------------------- latex
    "latex": (
        "\\section{<^_mnoun>s of <_mtopic>}\n<_ltext><_leq><_ltext>",
        "<_ltext><_leq><_ltext><_ltext>",
        "<latex.environment>\n<_ltext>",
        "\\begin{theorem}\n<_ltext>\\end{theorem}\n\\begin{proof}\n<_ltext><_leq>\\end{proof}\n",
        "\\subsection{<^_mtopic>}\n<_ltext>\\begin{itemize}\n  \\item <_litem>\n  \\item <_litem>\n  "
        "\\item <_litem>\n\\end{itemize}\n",
        "\\documentclass{article}\n\\usepackage{<_package>}\n\\begin{document}\n<_ltext>"
        "<_leq>\\end{document}\n",
        "<_leq><_ltext><_leq>",
    ),
    "_package": words("amsmath graphicx hyperref amssymb tikz booktabs geometry"),
    "_mnoun": words("theorem lemma example proof definition property bound"),
    "_mtopic": (
        "matrices",
        "prime numbers",
        "linear maps",
        "graphs",
        "random variables",
        "continuous functions",
        "groups",
        "norms",
        "vector spaces",
        "finite sets",
    ),
    "_ltext": lines(r"""
        Let $<latex.math>$ be a <_madj> <_mobj>.\n
        Then $<latex.math>$ holds for all $<_mset>$.\n
        Suppose that $<latex.math>$ and $<latex.math>$.\n
        By Lemma~\ref{<latex.reference>}, we have $<latex.math>$.\n
        We say that $<_mvar>$ is \emph{<_madj>} if $<latex.math>$.\n
        It follows from \eqref{<latex.reference>} that the <_mobj> is <_madj>.\n
        As shown by \cite{<latex.reference>}, the <_mobj> $<_mvar>$ is <_madj>.\n
        Hence \textbf{every <_madj> <_mobj>} satisfies $<latex.math>$.\n
        The <_mobj> $<latex.math>$ converges as $<_mvar> \to \infty$.\n
    """),
    "_madj": words(
        "finite compact linear bounded convex prime continuous positive symmetric invertible closed open "
        "even real"
    ),
    "_mobj": words("matrix set function group graph sequence vector space operator number ring field map"),
    "_mset": (
        "<_mvar> \\in \\mathbb{R}",
        "<_mvar> \\in \\mathbb{N}",
        "<_mvar> > 0",
        "<_mvar> \\geq 1",
        "<_mvar> \\in <_mcap>",
    ),
    "_mvar": ("x", "y", "n", "k", "m", "t", "<latex.greek>", "<latex.greek>", "x_<0..9>", "a_n", "x^2"),
    "_mcap": words("A B F G S X V"),
    "latex.greek": words(r"\alpha \beta \gamma \delta \epsilon \lambda \mu \sigma \theta \phi \omega \pi"),
    "_leq": (
        "\\begin{equation}\n  <latex.math> = <latex.math>\n\\end{equation}\n",
        "\\[ <latex.math> \\leq <latex.math> \\]\n",
        "\\begin{align}\n  <latex.math> &= <latex.math> \\\\\n  &= <latex.math>\n\\end{align}\n",
        "\\begin{equation}\n  \\label{<latex.reference>}\n  <latex.math> < <latex.math>\n\\end{equation}\n",
    ),
    "latex.math": (
        "<_mvar>",
        "<_mvar> + <_mvar>",
        "<_mcap> \\subset <_mcap>",
        "\\frac{<_mvar>}{<_mvar>}",
        "\\sum_{i=1}^{n} <_mvar>",
        "\\int_0^1 <_mvar> \\, dx",
        "\\sqrt{<_mvar>}",
        "f(<_mvar>)",
        "\\| <_mvar> \\|",
        "<_mvar> \\cdot <_mvar>",
        "e^{<_mvar>}",
        "\\lim_{n \\to \\infty} <_mvar>",
        "<_mvar> = <0..9>",
        "\\log <_mvar>",
        "f: <_mcap> \\to <_mcap>",
        "2<_mvar> - <1..9>",
        "\\mathcal{<_mcap>}(<_mvar>)",
    ),
    "latex.environment": (
        "\\begin{table}\n  \\centering\n  \\begin{tabular}{lcr}\n    <_noun> & <1..9> & <10..99> \\\\\n   "
        " <_noun> & "
        "<1..9> & <10..99> \\\\\n  \\end{tabular}\n  \\caption{<^_mnoun>s of <_mtopic>}\n\\end{table}",
        "\\begin{figure}[h]\n  \\centering\n  \\includegraphics[width=0.<2..9>\\textwidth]{<_noun>.pdf}\n  "
        "\\caption{A <_madj> <_mobj>.}\n  \\label{<latex.reference>}\n\\end{figure}",
    ),
    "_litem": (
        "the <_mobj> $<latex.math>$ is <_madj>;",
        "$<latex.math>$;",
        "every <_madj> <_mobj> is <_madj>.",
    ),
    "latex.reference": (
        "eq:<_noun>",
        "fig:<_noun>",
        "lem:<_madj>",
        "<_family>20<0..2><_d>",
        "thm:<_mobj>",
        "sec:<_noun>",
    ),
}
