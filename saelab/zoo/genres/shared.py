"""Words that several genres use, so that a word alone does not tell the genre."""

from __future__ import annotations

from saelab.zoo.grammar import words

HER = words(
    "Anna Mara Lily Nora Ruth Ivy Clara Elsa Greta Hanna Ida June Kate Lena Mina Olga Paula Rosa Sara "
    "Tilda Vera Zoe "
    "April May Dawn Grace Hope Rose Pearl Ruby"
)
HIM = words(
    "Adam Ben Carl Dan Emil Finn Gus Henry Ian Jack Karl Leo Max Ned Oscar Paul Ralph Sam Tom Viktor Will "
    "Bill Mark "
    "Rob Grant August Otto Felix Hugo Jonas"
)
SURNAMES = words(
    "Adler Baker Carter Dunn Ellis Fischer Grant Hill Irving Jensen Keller Lane Miller North Owens Porter "
    "Quinn Reed "
    "Stone Turner Underwood Vance Walker Young March King Bishop Knight Price Cook Rivers Woods Castle Marsh"
)
NOUNS = words(
    "apple bell boat book bottle box bread bridge bucket candle cart castle chain chair clock cloud coat "
    "coin cup door "
    "drum feather fence field fire fish flag flower forest garden gate glove goat hat hammer hill horse "
    "house jar key "
    "kite ladder lamp leaf letter lion map mirror moon mountain mouse needle nest night owl pear pebble "
    "pen pie pig "
    "plate pond queen rabbit ring river road roof rope salt shadow ship shoe spoon star stone storm table "
    "tower train "
    "tree wagon wall wheel window wind wolf wood worm king cat dog"
)
ADJECTIVES = words(
    "big small red green blue old new dark bright quiet loud cold warm soft heavy light strange golden "
    "silver broken "
    "empty tall tiny round sharp wet dry sweet bitter brave lazy kind clever wild hungry gentle proud "
    "rusty shiny"
)
COLOURS = words("red green blue black white yellow grey brown orange purple pink silver")
PLACES = words(
    "market harbour forest village castle kitchen library station bridge garden school mill church tower "
    "island valley "
    "river shore cellar attic barn palace theatre court square inn bakery"
)
FOODS = words(
    "apple banana bread butter carrot cheese cherry chicken chocolate cinnamon cream egg flour garlic "
    "ginger honey "
    "lemon lentil milk mushroom oat oil onion orange pasta pea pear pepper potato pumpkin rice salmon "
    "salt spinach "
    "sugar tomato vanilla vinegar walnut yoghurt"
)
MONTHS = words("January February March April May June July August September October November December")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
CITIES = words(
    "Berlin Paris London Rome Vienna Oslo Madrid Lisbon Prague Dublin Athens Cairo Tokyo Lima Quito Delhi "
    "Boston Austin "
    "Denver Geneva Munich Porto Turin Lyon"
)
DOMAINS = words(
    "example.com example.org example.net blue-river.com oldmill.org market.net library.edu "
    "greenhill.co.uk north.io "
    "lamp.dev castle.de garden.fr stone.jp harbour.shop school.edu mail.example.com api.example.com "
    "cdn.north.io"
)

RULES = {
    "_her": HER,
    "_him": HIM,
    "_name": HER + HIM,
    "_surname": SURNAMES,
    "_noun": NOUNS,
    "_adj": ADJECTIVES,
    "_colour": COLOURS,
    "_place": PLACES,
    "_food": FOODS,
    "_month": MONTHS,
    "_day": DAYS,
    "_city": CITIES,
    "_domain": DOMAINS,
    "_d": words("0 1 2 3 4 5 6 7 8 9"),
    "_hex": words("0 1 2 3 4 5 6 7 8 9 a b c d e f"),
    "_thing": ("<_adj> <_noun>", "<_noun>", "<_noun>"),
}
