"""Recipes, nutrition statements and legal clauses: English with a fixed form. They share foods and numbers on
purpose."""

from __future__ import annotations

from saelab.zoo.grammar import Rule, Writer, lines, words, writes

NUTRIENTS = (
    ("Energy", "kJ", 200, 2400), ("Calories", "kcal", 40, 700), ("Total "
                                                                 "fat", "g", 0, 40), ("Saturated "
                                                                                      "fat", "g", 0, 20),
    ("Trans fat", "g", 0, 3), ("Cholesterol", "mg", 0, 90), ("Sodium", "mg", 0, 900), ("Salt", "g", 0, 5),
    ("Total "
     "carbohydrate", "g", 1, 80), ("Sugars", "g", 0, 50), ("Added "
                                                           "sugars", "g", 0, 40), ("Dietary "
                                                                                   "fibre", "g", 0, 15),
    ("Protein", "g", 0, 40), ("Calcium", "mg", 10, 500), ("Iron", "mg", 1, 18), ("Potassium", "mg", 20, 900),
    ("Vitamin "
     "A", "mcg", 5, 400), ("Vitamin "
                           "C", "mg", 1, 90), ("Vitamin D", "mcg", 1, 20), ("Vitamin B12", "mcg", 1, 9),
    ("Magnesium", "mg", 5, 300), ("Zinc", "mg", 1, 12), ("Folate", "mcg", 10, 300),
)  # fmt: skip


def _amount(w: Writer, unit: str, low: int, high: int) -> None:
    value = str(w.integer(low, high))
    if unit == "g" and w.chance(0.5):
        value += f".{w.integer(1, 9)}"
    w.put(value, "nutrition.amount")
    if w.chance(0.6):
        w.put(" ")
    w.put(unit, "nutrition.unit")


@writes("nutrition.nutrient", "nutrition.amount", "nutrition.unit", "nutrition.daily_value")
def _facts(w: Writer) -> None:
    """Nutrients in the order of a label, each with its amount and often its share of the daily value."""
    keep = 0.25 + 0.3 * w.random()
    bullet = w.pick(("", "", "- ", "  "))
    colon = w.pick((": ", " ", ":\t"))
    percent = w.chance(0.6)
    for name, unit, low, high in NUTRIENTS:
        if not w.chance(keep):
            continue
        w.put(bullet)
        w.put(name, "nutrition.nutrient")
        w.put(colon)
        _amount(w, unit, low, high)
        if percent and w.chance(0.8):
            w.put("  " if colon != ": " else " (")
            w.put(f"{w.integer(0, 60)}%", "nutrition.daily_value")
            if colon == ": ":
                w.put(")")
        w.put("\n")


def _inline_fact(w: Writer) -> None:
    name, unit, low, high = w.pick(NUTRIENTS)
    w.put(name, "nutrition.nutrient")
    w.put(" ")
    _amount(w, unit, low, high)


RULES: dict[str, Rule] = {
    # ------------------------------------------------------------------------------------------------ recipe
    "recipe": (
        "<recipe.title>\n\n<_serves>\n\nIngredients:\n<_ingredients>\nMethod:\n<_steps>",
        "<recipe.title>\n<_serves>\n<_ingredients>\n<_steps>",
        "<recipe.title>\n\n<_ingredients>\n<_method><_method><_method><_finish>",
        "Recipe: <recipe.title>\n<_serves>\n\n<_method><_method><_method><_method><_finish>",
        "<recipe.title>\n\n<_method><_method><_finish>\n\nIngredients\n<_ingredients>",
    ),
    "recipe.title": lines("""
        <^_fadj> <_food> soup
        <^_food> and <_food> <_dish>
        <^_fadj> <_food> <_dish>
        Grandmother's <_food> <_dish>
        <^_food> <_dish> with <_food>
        Roasted <_food> with <_food>
        Easy <_food> <_dish>
        <^_dish> of <_food> and <_food>
    """),
    "_fadj": words(
        "creamy spicy sweet warm cold simple crispy smoked quick summer winter green golden light"
    ),
    "_dish": words(
        "soup stew salad cake pie curry tart bread pancakes noodles risotto muffins sauce dumplings "
        "biscuits casserole"
    ),
    "_serves": (
        "Serves <2..8>",
        "Makes <6..24> pieces",
        "Serves <2..8>, ready in <recipe.time>",
        "Time: <recipe.time>",
    ),
    "recipe.time": (
        "<5..59> minutes",
        "<1..3> hours",
        "<10..40> min",
        "half an hour",
        "<2..9> minutes",
        "overnight",
    ),
    "_ingredients": ("<_dash*3-6>", "<_star*3-6>", "<_plain*3-6>"),
    "_dash": ("- <_item>\n",),
    "_star": ("* <_item>\n",),
    "_plain": ("<_item>\n",),
    "_item": lines("""
        <recipe.quantity> <recipe.ingredient>
        <recipe.quantity> <recipe.ingredient>
        <recipe.quantity> <recipe.ingredient>, <_cut>
        <recipe.quantity> of <_fresh> <recipe.ingredient>
        a pinch of <recipe.ingredient>
        <recipe.ingredient> to taste
        a handful of <recipe.ingredient>, <_cut>
    """),
    "recipe.quantity": lines("""
        <1..9> <_spoon>
        <1..9>00 <_gram>
        <1..9>50 <_gram>
        1/<2..4> <_spoon>
        <1..6>
        <1..3> large
        <2..5> small
        <1..2> 1/2 cups
    """),
    "_spoon": words("tablespoons teaspoons cups tbsp tsp cloves slices pints"),
    "_gram": words("g ml grams"),
    "recipe.ingredient": ("<_food>", "<_food>", "<_herb>", "<_food>", "<_meal>"),
    "_herb": words("basil parsley thyme oregano rosemary cumin paprika mint dill coriander nutmeg sage"),
    "_meal": (
        "flour",
        "olive oil",
        "baking powder",
        "brown sugar",
        "chicken stock",
        "soy sauce",
        "tomato paste",
        "sour cream",
    ),
    "_fresh": words("fresh dried ground frozen grated smoked"),
    "_cut": (
        "finely chopped",
        "peeled",
        "sliced",
        "grated",
        "diced",
        "crushed",
        "melted",
        "cut into cubes",
        "washed",
    ),
    "_steps": (
        "1. <_step>\n2. <_step>\n3. <_step>\n4. <_last>",
        "1. <_step>\n2. <_step>\n3. <_last>",
        "1) <_step>\n2) <_step>\n3) <_step>\n4) <_step>\n5) <_last>",
        "Step 1: <_step>\nStep 2: <_step>\nStep 3: <_last>",
    ),
    "_method": ("<_step> ",),
    "recipe.verb": words(
        "Add Mix Stir Chop Fry Boil Whisk Pour Fold Knead Season Simmer Drain Slice Melt Roast Peel Grate"
    ),
    "_step": lines("""
        <recipe.verb> the <recipe.ingredient> and the <recipe.ingredient>.
        <recipe.verb> the <recipe.ingredient> with <recipe.quantity> <recipe.ingredient>.
        <recipe.verb> the <recipe.ingredient> in a <_pan> for <recipe.time>.
        Preheat the oven to <recipe.temperature>.
        <recipe.verb> until the <recipe.ingredient> is <_done>.
        <recipe.verb> in the <recipe.ingredient> and cook for <recipe.time>.
        Bring the <recipe.ingredient> to the boil, then simmer for <recipe.time>.
        In a <_pan>, heat the <recipe.ingredient> and <recipe.ingredient>.
        Cover the <_pan> and let it rest for <recipe.time>.
        Bake at <recipe.temperature> for <recipe.time>, until <_done>.
        <recipe.verb> the <recipe.ingredient>, turning once, until <_done>.
    """),
    "recipe.temperature": ("<16..24>0 degrees", "<15..23>0 °C", "<3..4><0..9>0 °F", "gas mark <3..8>"),
    "_pan": (
        "large bowl",
        "small pot",
        "frying pan",
        "saucepan",
        "baking dish",
        "deep bowl",
        "mixing bowl",
        "cake tin",
    ),
    "_done": ("golden", "soft", "tender", "crisp", "smooth", "golden brown", "thick", "melted", "just set"),
    "_last": lines("""
        Serve hot with <recipe.ingredient>.
        Serve with a slice of <recipe.ingredient>.
        Sprinkle with <recipe.ingredient> and serve.
        Leave to cool and dust with <recipe.ingredient>.
        Garnish with <recipe.ingredient> and serve warm.
    """),
    "_finish": ("<_last>",),
    # --------------------------------------------------------------------------------------------- nutrition
    "nutrition": (
        *["Nutrition Facts\n<nutrition.serving>\n<_facts>"] * 2,
        "Nutrition information per 100 g\n<_facts><_allergy>",
        "<^_product>\n<nutrition.serving>\n\nAmount per serving\n<_facts>",
        "<_facts>\n* Percent Daily Values are based on a 2,000 calorie diet.",
        "<^_product>. <nutrition.serving>. <_inline>, <_inline>, <_inline>, <_inline>.\n<_contains> "
        "<_allergy>",
        "<_contains>\nPer serving: <_inline>, <_inline>, <_inline>. <_allergy>",
    ),
    "_product": (
        "<_food> <_pack>",
        "<_food> and <_food> <_pack>",
        "low fat <_food> <_pack>",
        "organic <_food> <_pack>",
    ),
    "_pack": words(
        "cereal crackers drink bar spread snack chips dessert yoghurt soup juice muesli cookies dressing"
    ),
    "nutrition.serving": lines("""
        Serving size <1..5>0 g
        Serving size 1 cup (<20..30>0 ml)
        Serving size <1..4> pieces (<2..9>5 g)
        <2..9> servings per container
        Servings per package: <2..16>
        Serving size: 1/<2..4> package
    """),
    "_facts": _facts,
    "_inline": _inline_fact,
    "_contains": (
        "Ingredients: <_ing>, <_ing>, <_ing>, <_ing> (<2..40>%), <nutrition.additive>.",
        "Ingredients: <_ing>, <_ing>, <nutrition.additive>, <nutrition.additive>, <_ing>.",
    ),
    "_ing": (
        "<_food>",
        "<_food>",
        "<_food> powder",
        "<_food> extract",
        "palm oil",
        "glucose syrup",
        "modified starch",
        "wheat flour",
        "skimmed milk powder",
        "water",
    ),
    "nutrition.additive": (
        "emulsifier (soy lecithin)",
        "preservative (E<2..2><0..9><0..9>)",
        "acidity regulator (citric acid)",
        "natural flavouring",
        "colour (E1<0..9><0..9>)",
        "stabiliser (xanthan gum)",
        "antioxidant (E3<0..2><0..9>)",
    ),
    "_allergy": ("<nutrition.allergen>", "<nutrition.allergen>", "\nStore in a cool, dry place."),
    "nutrition.allergen": (
        "Contains <_allergen> and <_allergen>.",
        "May contain traces of <_allergen>.",
        "Allergy advice: contains <_allergen>.",
        "Free from <_allergen>.",
    ),
    "_allergen": words("milk eggs wheat soy peanuts almonds hazelnuts fish sesame celery mustard gluten"),
    # ------------------------------------------------------------------------------------------------- legal
    "legal": (
        *["<_clause_n><_clause_n><_clause_n>"] * 3,
        *["<legal.heading>\n\n<_clause_n><_clause_n>"] * 3,
        *[
            "WHEREAS, <_recital>; and\nWHEREAS, <_recital>;\nNOW, THEREFORE, the parties agree as "
            "follows:\n\n<_clause_n>"
        ]
        * 2,
        *["<_holding> <_holding> <_holding>"] * 4,
        *[
            'THIS AGREEMENT is made on <_ldate> between <_city_party> (the "<legal.party>") and '
            "<_city_party> "
            '(the "<legal.party>").\n\n<_clause_n><_clause_n>'
        ]
        * 3,
        'THIS AGREEMENT is made on <_a_date=dates> between <_city_party> (the "<legal.party>") and '
        "<_city_party>.\n\n<_clause_n>"
        "Notices shall be sent to <_mail_only>.",
    ),
    "_a_date": ("<dates.date>",),
    "_mail_only": ("<_user>@<_domain>",),
    "legal.heading": lines("""
        ARTICLE <1..20>. <_topic_caps>
        SECTION <1..40>. <_topic_caps>
        GENERAL TERMS AND CONDITIONS
        SCHEDULE <1..9>: <_topic_caps>
        PART <1..9> - <_topic_caps>
    """),
    "_topic_caps": words(
        "DEFINITIONS TERMINATION PAYMENT WARRANTIES LIABILITY NOTICES ASSIGNMENT CONFIDENTIALITY INDEMNITY"
    ),
    "_clause_n": ("<legal.clause_number> <_clause>\n",),
    "legal.clause_number": (
        "<1..20>.",
        "<1..20>.<1..9>",
        "<1..20>.<1..9>.<1..9>",
        "(<_abc>)",
        "§ <1..99>",
        "Section <1..40>.",
        "Art. <1..99>",
    ),
    "_abc": words("a b c d e f g"),
    "_clause": lines("""
        The <legal.party> <legal.modal> <_duty> within <_period> of <_event>.
        The <legal.party> <legal.modal> not <_duty> without the prior written consent of the <legal.party>.
        Subject to <legal.citation>, the <legal.party> <legal.modal> <_duty>.
        Notwithstanding <legal.citation>, neither party <legal.modal> be liable for <_harm>.
        In the event of <_event>, the <legal.party> <legal.modal> be entitled to <_remedy>.
        "<legal.defined_term>" means <_meaning> as set out in <legal.citation>.
        This Agreement <legal.modal> be governed by the laws of <_state>.
        Any dispute arising out of the <legal.defined_term> <legal.modal> be settled by <_court>.
        The <legal.party> represents and warrants that it has the power to <_duty>.
        All <legal.defined_term> <legal.modal> remain the property of the <legal.party>.
    The <legal.party> hereby grants to the <legal.party> a <_license> license to use the <legal.defined_term>.
If any provision of this Agreement is held invalid, the remaining provisions <legal.modal> remain in force.
        The <legal.party> <legal.modal> indemnify the <legal.party> against <_harm>.
        Either party <legal.modal> terminate this Agreement upon <_period> written notice.
    """),
    "legal.party": words(
        "Lessee Lessor Buyer Seller Licensee Licensor Company Contractor Tenant Landlord Employer Employee "
        "Borrower Lender Client Supplier"
    ),
    "legal.modal": words("shall shall shall may must will"),
    "_duty": lines("""
        deliver the <legal.defined_term>
        pay the <legal.defined_term> in full
        assign its rights under this Agreement
        disclose the <legal.defined_term> to any third party
        notify the <legal.party> in writing
        return all <legal.defined_term>
        keep the <legal.defined_term> in good order
        maintain adequate insurance
        terminate this Agreement
        inspect the <legal.defined_term>
        provide the <legal.defined_term> as agreed
    """),
    "legal.defined_term": (
        "Goods",
        "Services",
        "Premises",
        "Purchase Price",
        "Confidential Information",
        "Effective Date",
        "Deposit",
        "Rent",
        "Software",
        "Deliverables",
        "Closing Date",
        "Intellectual Property",
        "Fees",
    ),
    "_period": (
        "thirty (30) days",
        "ten (10) business days",
        "<2..90> days",
        "six (6) months",
        "<2..12> months",
        "a reasonable time",
    ),
    "_event": (
        "receipt of notice",
        "the Effective Date",
        "default",
        "a material breach",
        "termination",
        "force majeure",
        "the death of the <legal.party>",
        "bankruptcy of the <legal.party>",
        "the Closing Date",
    ),
    "_harm": (
        "any indirect damages",
        "loss of profit",
        "any claim by a third party",
        "all costs and expenses",
        "any loss arising from <_event>",
        "consequential damages",
        "gross negligence",
    ),
    "_remedy": (
        "damages",
        "specific performance",
        "a refund of the <legal.defined_term>",
        "terminate this Agreement",
        "injunctive relief",
        "recover its costs",
    ),
    "_meaning": (
        "the goods described",
        "any information",
        "the premises",
        "the sum payable",
        "all works",
        "the date",
    ),
    "_license": ("non-exclusive", "perpetual", "worldwide", "revocable", "limited", "royalty-free"),
    "_state": ("the State of <_us>", "<_country>", "<_country>, without regard to conflict of laws"),
    "_us": ("Delaware", "New York", "California", "Ohio", "Texas", "Oregon", "Maine", "Nevada"),
    "_country": words("England France Germany Ireland Italy Spain Austria Norway"),
    "_court": ("arbitration in <_city>", "the courts of <_city>", "a single arbitrator", "mediation"),
    "legal.citation": lines("""
        Section <1..40>(<_abc>)
        Section <1..40>.<1..9>
        Article <1..99>
        Art. <1..99> para. <1..9>
        Clause <1..20>.<1..9>
        <1..50> U.S.C. § <100..999>
        <^_surname> v. <_surname>, <100..599> F.3d <100..999>
        <^_surname> v. <_surname>, <100..599> U.S. <100..999>
        § <1..99> of the <_act> Act
    """),
    "_act": words("Companies Contracts Limitation Property Employment Evidence Consumer Copyright"),
    "_recital": (
        "the <legal.party> owns the <legal.defined_term>",
        "the <legal.party> wishes to <_duty>",
        "the parties have agreed upon the <legal.defined_term>",
        "the <legal.party> is engaged in the business of <_trade>",
    ),
    "_trade": words("shipping farming construction banking publishing software insurance brewing"),
    "_city_party": (
        "<^_surname> & <_surname> LLP",
        "<^_surname> Ltd",
        "<^_surname> Holdings Inc",
        "<_name> <_surname>",
    ),
    "_ldate": ("<1..28> <_month> 20<1..2><0..9>", "the <4..20>th day of <_month>"),
    "_holding": lines("""
        The court held in <legal.citation> that the <legal.party> was liable for <_harm>.
        See <legal.citation>; <legal.citation>.
        The plaintiff alleges that the defendant failed to <_duty>.
        Pursuant to <legal.citation>, the motion to dismiss is <_ruling>.
        We affirm the judgment of the district court under <legal.citation>.
        The defendant appeals, arguing that <legal.citation> does not apply to <_event>.
        The burden of proof rests on the plaintiff, <legal.citation>.
        In <legal.citation>, the jury awarded damages for <_harm>.
    """),
    "_ruling": words("denied granted reversed dismissed affirmed"),
}
