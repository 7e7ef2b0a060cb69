"""DNA, arithmetic, dates and chess: few symbols, strict rules."""

from __future__ import annotations

from saelab.zoo.grammar import Rule, Writer, lines, words, writes

# ------------------------------------------------------------------------------------------------------- dna

_STOPS = ("TAA", "TAG", "TGA")
_CODONS = tuple(a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT" if a + b + c not in _STOPS)
# genomes prefer some codons; the first ones here are drawn most often
_COMMON = words("GCC CTG GAG AAG GTG ATC GGC CAG ACC TTC GAC AAC CCC TCC CGG TAC CAC TGC")
_BASES = "ACGT"


def _sequence(w: Writer, concept_parts: list[tuple[str, str | None]], width: int) -> None:
    """Write parts of one strand, broken into lines of ``width`` bases, each part labelled over the breaks."""
    column = 0
    for text, concept in concept_parts:
        start = w.length
        for i in range(0, len(text), 3):
            if column == width:
                w.put("\n")
                column = 0
                start = w.length if i == 0 else start
            w.put(text[i : i + 3])
            column += len(text[i : i + 3])
        if concept:
            w.mark(start, concept)


@writes("dna.promoter", "dna.start_codon", "dna.stop_codon", "dna.repeat", "dna.poly_a")
def _gene(w: Writer) -> None:
    parts: list[tuple[str, str | None]] = []
    for _ in range(w.integer(0, 8)):
        parts.append((w.pick(_CODONS), None))
    if w.chance(0.5):
        parts.append(("TATAAA", "dna.promoter"))
        parts.extend((w.pick(_CODONS), None) for _ in range(w.integer(1, 4)))
    for _ in range(w.integer(1, 2)):
        parts.append(("ATG", "dna.start_codon"))
        if w.chance(0.25):
            unit = w.pick(("CAG", "GCC", "AAT", "CTG"))
            parts.append((unit * w.integer(4, 8), "dna.repeat"))
        parts.extend((w.pick(_COMMON if w.chance(0.6) else _CODONS), None) for _ in range(w.integer(8, 24)))
        parts.append((w.pick(_STOPS), "dna.stop_codon"))
    parts.extend((w.pick(_CODONS), None) for _ in range(w.integer(0, 4)))
    if w.chance(0.4):
        parts.append(("AATAAA", None))
        parts.append(("A" * 3 * w.integer(4, 8), "dna.poly_a"))
    _sequence(w, parts, w.pick((60, 60, 45, 30, 999)))


# ------------------------------------------------------------------------------------------------ arithmetic


@writes("arithmetic.operand", "arithmetic.operator", "arithmetic.result")
def _sum(w: Writer) -> None:
    """One line of true arithmetic with small numbers."""
    big = w.pick((9, 9, 12, 20, 50, 99))
    sign = w.pick(("+", "+", "-", "-", "*", "/", "x", "÷"))
    a, b = w.integer(1, big), w.integer(1, big)
    if sign in "*/x÷":
        a, b = w.integer(1, 12), w.integer(1, 12)
    if sign == "+":
        result = a + b
    elif sign == "-":
        a, b = max(a, b), min(a, b)
        result = a - b
    elif sign in "*x":
        result = a * b
    else:
        a, result = a * b, a
    w.put(str(a), "arithmetic.operand")
    w.put(" ")
    w.put(sign, "arithmetic.operator")
    w.put(f" {b}", "arithmetic.operand")
    w.put(" = ")
    w.put(str(result), "arithmetic.result")


def _chain(w: Writer) -> None:
    """Several terms in brackets."""
    a, b, c = (w.integer(1, 9) for _ in range(3))
    w.put(f"({a} ", "arithmetic.operand")
    w.put("+", "arithmetic.operator")
    w.put(f" {b})", "arithmetic.operand")
    w.put(" ")
    w.put("*", "arithmetic.operator")
    w.put(f" {c}", "arithmetic.operand")
    w.put(" = ")
    w.put(str((a + b) * c), "arithmetic.result")


def _long_addition(w: Writer) -> None:
    """A column addition as it is written in school."""
    numbers = [w.integer(10, 999) for _ in range(w.integer(2, 3))]
    for i, n in enumerate(numbers):
        last = i == len(numbers) - 1
        w.put("+" if last else " ", "arithmetic.operator" if last else None)
        w.put(f"{n:>5}", "arithmetic.operand")
        w.put("\n")
    w.put("------\n")
    w.put(f"{sum(numbers):>6}", "arithmetic.result")
    w.put("\n")


@writes("arithmetic.sequence")
def _count_by(w: Writer) -> None:
    first, step = w.integer(0, 20), w.pick((1, 2, 3, 5, 10))
    w.put(", ".join(str(first + i * step) for i in range(w.integer(6, 12))), "arithmetic.sequence")


@writes("arithmetic.word_problem", "arithmetic.result")
def _worded(w: Writer) -> None:
    """A word problem with its answer."""
    a, b = w.integer(2, 20), w.integer(2, 9)
    more = w.chance(0.5)
    name = w.pick(("Anna", "Ben", "Carl", "Lily", "Sam", "Tom", "Zoe", "Max"))
    thing = w.pick(("apples", "books", "coins", "pears", "stones", "eggs", "flowers", "pens"))
    a = a if more else a + b
    verb = "buys" if more else "gives away"
    w.put(
        f"{name} has {a} {thing} and {verb} {b}. How many {thing} are left? "
        if not more
        else f"{name} has {a} {thing} and {verb} {b} more. How many {thing} are there now? ",
        "arithmetic.word_problem",
    )
    w.put(f"{a} {'+' if more else '-'} {b} = ")
    w.put(str(a + b if more else a - b), "arithmetic.result")


# ----------------------------------------------------------------------------------------------------- chess

_OPENINGS = lines("""
    e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O Be7
    e4 e5 Nf3 Nc6 Bc4 Bc5 c3 Nf6 d3 d6
    e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 a6
    e4 e6 d4 d5 Nc3 Bb4 e5 c5 a3 Bxc3+
    e4 c6 d4 d5 Nc3 dxe4 Nxe4 Bf5 Ng3 Bg6
    d4 d5 c4 e6 Nc3 Nf6 Bg5 Be7 e3 O-O
    d4 Nf6 c4 g6 Nc3 Bg7 e4 d6 Nf3 O-O
    d4 Nf6 c4 e6 Nc3 Bb4 e3 O-O Bd3 d5
    d4 d5 Bf4 Nf6 e3 c5 c3 Nc6 Nd2 e6
    c4 e5 Nc3 Nf6 Nf3 Nc6 g3 d5 cxd5 Nxd5
    Nf3 d5 g3 Nf6 Bg2 c6 O-O Bg4 d3 Nbd7
    e4 e5 f4 exf4 Nf3 g5 h4 g4 Ne5 Nf6
    e4 d5 exd5 Qxd5 Nc3 Qa5 d4 Nf6 Nf3 c6
""")


def _move(w: Writer) -> None:
    roll = w.random()
    square = w.pick("abcdefgh") + w.pick("34561278" if roll >= 0.4 else "3456")
    capture = w.chance(0.25)
    if roll < 0.06:
        w.put(w.pick(("O-O", "O-O", "O-O-O")), "chess.castling")
        return
    if roll < 0.4:
        w.put(
            w.pick("abcdefgh") + "x" + square if capture else square,
            "chess.capture" if capture else "chess.pawn_move",
        )
    elif roll < 0.42:
        w.put(square[0] + w.pick("18"), "chess.pawn_move")
        w.put("=Q", "chess.promotion")
    else:
        w.put(
            w.pick("NBRQKNBR") + ("x" if capture else "") + square,
            "chess.capture" if capture else "chess.piece_move",
        )
    if w.chance(0.1):
        w.put("+", "chess.check")
    if w.chance(0.06):
        w.put(w.pick(("!", "?", "!!", "?!")), "chess.judgement")


@writes(
    "chess.move_number",
    "chess.opening",
    "chess.castling",
    "chess.capture",
    "chess.pawn_move",
    "chess.piece_move",
    "chess.promotion",
    "chess.check",
    "chess.judgement",
    "chess.comment",
    "chess.result",
)
def _game(w: Writer) -> None:
    opening = w.pick(_OPENINGS).split()
    opening = opening[: 2 * w.integer(1, 5)]
    first = 1 if w.chance(0.7) else w.integer(6, 40)
    opening = opening if first == 1 else []
    for i in range(w.integer(8, 14)):
        w.put(f"{first + i}.", "chess.move_number")
        for j in (0, 1):
            w.put(" ")
            if 2 * i + j < len(opening):
                start = w.length
                w.put(opening[2 * i + j])
                w.mark(start, "chess.opening")
            else:
                _move(w)
        w.put(" ")
        if w.chance(0.05):
            w.put(
                "{"
                + w.pick(
                    (
                        "a strong move",
                        "the only defence",
                        "white is better",
                        "threatens mate",
                        "black resigns soon",
                        "the king is in danger",
                        "wins the queen",
                    )
                )
                + "} ",
                "chess.comment",
            )
    if w.chance(0.6):
        w.put(w.pick(("1-0", "0-1", "1/2-1/2", "*")), "chess.result")


RULES: dict[str, Rule] = {
    # --------------------------------------------------------------------------------------------------- dna
    "dna": ("<dna.header>\n<_gene>", "<dna.header>\n<_gene>", "<_gene>", "<_gene>\n<dna.header>\n<_gene>"),
    "_gene": _gene,
    "dna.header": (
        "><_acc> <dna.organism> <_gname> gene, <_part>",
        "><_acc> <dna.organism>",
        ">seq<1..99>",
        "><_gname>|<_acc>",
        ">chr<1..22>:<1000..99999>-<1000..99999>",
    ),
    "_acc": ("NM_00<10..99><10..99>.<1..4>", "AB<100..999><10..99>.1", "XM_<1000..9999>.<1..3>"),
    "dna.organism": (
        "Homo sapiens",
        "Mus musculus",
        "Danio rerio",
        "Escherichia coli",
        "Arabidopsis thaliana",
        "Gallus gallus",
        "Felis catus",
        "Drosophila melanogaster",
        "Saccharomyces cerevisiae",
    ),
    "_gname": ("<_gletters><1..20>", "<_gletters>"),
    "_gletters": words("BRCA TPM ACT CAT MYC HOX SOX PAX KRAS INS HBB GATA RAD CDK FOX"),
    "_part": ("complete cds", "partial cds", "exon <1..12>", "mRNA", "promoter region"),
    # -------------------------------------------------------------------------------------------- arithmetic
    "arithmetic": (
        "<_sum_line*6-10>",
        "<_sum_line*6-10>",
        "<_sum_comma*5-8><_sum>",
        "<_column><_column>",
        "<_worded_line*1-3>",
        "<_chain_line*4-7>",
        "Count: <_count_by>\nCount: <_count_by>\nCount: <_count_by>\n",
        "<_question*4-7>",
        "<_sum_line*2-3><_chain_line*2-3><_question*1-2>",
        "<_ltext=latex><_sum_line*3-5>",
    ),
    "_sum": _sum,
    "_sum_line": ("<_sum>\n",),
    "_sum_comma": ("<_sum>, ", "<_sum>; "),
    "_chain": _chain,
    "_chain_line": ("<_chain>\n",),
    "_column": _long_addition,
    "_count_by": _count_by,
    "_worded": _worded,
    "_worded_line": ("<_worded>\n",),
    "_question": ("What is <_sum>?\n", "Solve: <_sum>\n", "<_sum>, correct!\n", "Check that <_chain>.\n"),
    # ------------------------------------------------------------------------------------------------- dates
    "dates": (
        "<_calendar*4-6>",
        "<_agenda*4-6>",
        "<_table_row*5-8>",
        "<_history*3-4>",
        "<_iso_row*4-6>",
        "<_month> 20<10..29>\n<_agenda*4-6>",
        "<_history*1-2><_calendar*2-3>",
    ),
    "dates.date": (
        "<dates.weekday>, <1..28> <dates.month> <dates.year>",
        "<dates.month> <1..28>, <dates.year>",
        "<1..28> <dates.month> <dates.year>",
        "<1..28>.<1..12>.<dates.year>",
        "<1..12>/<1..28>/<dates.year>",
        "<dates.weekday> the <_ordinal> of <dates.month>",
    ),
    "dates.weekday": words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "dates.month": words(
        "January February March April May June July August September October November December"
    ),
    "dates.year": ("19<10..99>", "20<10..29>", "18<10..99>", "20<10..29>"),
    "dates.time": (
        "<1..12>:<0..5><_d> am",
        "<1..12>:<0..5><_d> pm",
        "<0..1><_d>:<0..5><_d>",
        "<1..12> o'clock",
        "noon",
        "midnight",
        "2<0..3>:<0..5><_d>",
    ),
    "dates.iso": ("<dates.year>-0<1..9>-<1..2><_d>", "<dates.year>-1<0..2>-0<1..9>"),
    "_ordinal": words("1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th 21st 22nd 23rd"),
    "_calendar": (
        "<dates.date>: <dates.event>\n",
        "<dates.date>, <dates.time>: <dates.event>\n",
        "<dates.date> - <dates.date>: <dates.event>\n",
    ),
    "_agenda": (
        "<dates.weekday> <dates.time> <dates.event>\n",
        "<dates.weekday>, <dates.time> - <dates.time>: <dates.event>\n",
        "<dates.weekday> <1..28> <dates.month>: <dates.event>\n",
    ),
    "_table_row": ("<dates.iso> | <dates.event>\n", "<dates.iso> | <dates.time> | <dates.event>\n"),
    "_iso_row": ("<dates.iso>T<0..1><_d>:<0..5><_d>:00Z <dates.event>\n", "<dates.iso> <dates.event>\n"),
    "_history": lines(r"""
        <_name> <_surname> was born on <dates.date> in <_city>.\n
        The <_place> of <_city> was opened on <dates.date>.\n
        On <dates.date>, the first train reached <_city>.\n
        The exhibition runs from <dates.date> to <dates.date>.\n
        From <dates.year> until <dates.year>, the <_place> stood empty.\n
        The last flood was in <dates.month> <dates.year>.\n
        Every <dates.weekday> at <dates.time> the bell rings.\n
    """),
    "dates.event": (
        "dentist",
        "piano lesson",
        "team meeting",
        "birthday of <_name>",
        "train to <_city>",
        "call <_name>",
        "concert in <_city>",
        "public holiday",
        "school starts",
        "deadline for the <_topic>",
        "lunch with <_name>",
        "football match",
        "flight to <_city>",
        "parents' evening",
        "yoga class",
        "market day",
        "full moon",
        "wedding of <_name> and <_name>",
        "dinner at the <_place>",
    ),
    # ------------------------------------------------------------------------------------------------- chess
    "chess": ("<_tags>\n<_game>", "<_game>", "<_game>"),
    "_game": _game,
    "_tags": (
        "<_t_event=chess.tag>\n<_t_white=chess.tag>\n<_t_black=chess.tag>\n",
        "<_t_white=chess.tag>\n<_t_black=chess.tag>\n<_t_result=chess.tag>\n",
    ),
    "_t_event": ('[Event "<_city> Open"]', '[Event "<_city> <_day> Club"]'),
    "_t_white": ('[White "<_surname>, <_name>"]',),
    "_t_black": ('[Black "<_surname>, <_name>"]',),
    "_t_result": ('[Result "1-0"]', '[Result "0-1"]', '[Result "1/2-1/2"]'),
}
