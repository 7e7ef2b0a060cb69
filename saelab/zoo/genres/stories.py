"""Stories: short tales with a hero who keeps name and pronoun, and with dialogue. E-mail is beside
them because both are everyday English."""

from __future__ import annotations

from saelab.zoo.grammar import Rule, lines, words

_OPENINGS = lines("""
    Once upon a time there lived <_kind> named {hero} in <_home>.
    Once upon a time, in <_home>, there was <_kind> called {hero}.
    Long ago, {hero} lived in <_home> with <_company>.
    One <_time>, {hero} found <_a_thing> near the <_where>.
    There was once <_kind> who loved <_loves>. {His} name was {hero}.
    {hero} had never seen <_a_thing> before.
    It was a <_weather> <_time>, and {hero} was walking to the <_where>.
    Nobody in the village believed that {hero} could <_can>.
    Every <_time>, {hero} went to the <_where> to look for <_a_thing>.
    The <_where> was <_quality> when {hero} arrived.
""")

_SENTENCES = lines("""
    {He} <story.action> to the <_where>.
    {He} <story.action> past the <_thing> and into the <_where>.
    {He} picked up the <_thing> and <story.action> home.
    {He} saw <_a_thing> under the <_thing>.
    {He} was so <story.feeling> that {he} began to <_can>.
    But the <_thing> was <_quality>.
    Then the <_noun> began to <_can>.
    Suddenly, <_a_thing> fell from the <_noun>.
    Suddenly {he} heard a <_sound> behind the <_thing>.
    "<_speech>" said {hero}.
    "<_speech>" {he} asked.
    "<_speech>" <_other> answered, and {he} felt <story.feeling>.
    "<_speech>" said the <_creature>. "<_speech>"
    {hero} looked at the <_thing> and felt <story.feeling>.
    {hero} wanted to <_can>, but the <_noun> was too <_adj>.
    {His} <_relative> gave {him} <_a_thing> and <_a_thing>.
    {His} heart was <_quality> as the <_place>.
    The <_creature> looked at {him} with <_adj> eyes.
    The <_creature> <story.action> away, and {hero} <story.action> after it.
    All <_time> {he} waited by the <_thing>.
    After a while the <_creature> came back with <_a_thing>.
    Because it was <_weather>, {he} stayed in the <_where> until <_time>.
    When {he} opened the <_noun>, there was <_a_thing> inside.
    {He} put the <_noun> into {his} <_noun> and smiled.
    {He} thought of {his} <_relative> and the <_thing> at home.
    At last {he} reached the <_where>, tired and <story.feeling>.
    For <_count> days nobody came to the <_place>.
    <_other> told {him} the secret of the <_thing>.
    Without the <_thing>, {he} could not <_can>.
    It smelled of <_food> and <_adj> <_noun>.
    So {hero} and <_other> shared the <_food> and <story.action> on.
""")

_ENDINGS = lines("""
    And they lived happily ever after.
    From that day on, {hero} was never <story.feeling> again.
    And that is why the <_noun> is <_quality> to this day.
    {hero} fell asleep, and the <_creature> watched over {him}.
    The next <_time>, the <_thing> was gone.
    {He} never told anyone about the <_thing>.
    And so {hero} came home to {his} <_relative> at last.
""")


def _gendered(rows: tuple[str, ...], female: bool) -> tuple[str, ...]:
    forms = {
        "{hero}": "<_her@hero=story.name>" if female else "<_him@hero=story.name>",
        "{he}": "<_she=story.pronoun>" if female else "<_he=story.pronoun>",
        "{He}": "<^_she=story.pronoun>" if female else "<^_he=story.pronoun>",
        "{his}": "<_hers=story.pronoun>" if female else "<_his=story.pronoun>",
        "{His}": "<^_hers=story.pronoun>" if female else "<^_his=story.pronoun>",
        "{him}": "<_hers=story.pronoun>" if female else "<_himself=story.pronoun>",
    }
    out = []
    for row in rows:
        for mark, slot in forms.items():
            row = row.replace(mark, slot)
        quoted = row.startswith('"')
        out.append(row.replace('"<_speech>"', "<story.dialogue>") if quoted else row)
    return tuple(out)


RULES: dict[str, Rule] = {
    "story": (
        *["<_story_f_open> <_story_f*3-6><_story_f_end>", "<_story_m_open> <_story_m*3-6><_story_m_end>"]
        * 12,
        "The old cook book said:\n\n<recipe>\n\nBut <_him@hero=story.name> only laughed and ate the <_food>.",
        "<_story_f_open> <_story_f*1-2>The letter said:\n\n<email>\n\n<_story_f_end>",
    ),
    "_story_f_open": _gendered(_OPENINGS, True),
    "_story_m_open": _gendered(_OPENINGS, False),
    "_story_f": tuple(s + " " for s in _gendered(_SENTENCES, True)),
    "_story_m": tuple(s + " " for s in _gendered(_SENTENCES, False)),
    "_story_plain": tuple(
        s + " " for s in _gendered(_SENTENCES, True) if '"' not in s and "dialogue" not in s
    ),
    "_story_f_end": _gendered(_ENDINGS, True),
    "_story_m_end": _gendered(_ENDINGS, False),
    "_she": ("she",),
    "_he": ("he",),
    "_hers": ("her",),
    "_his": ("his",),
    "_himself": ("him",),
    "_kind": lines("""
        a <_adj> girl
        a <_adj> boy
        a poor miller
        a <_adj> king
        a <_adj> queen
        a young baker
        a <_adj> knight
        a lonely sailor
        a <_adj> fisherman
        a clever tailor
        a <_adj> giant
    """),
    "_home": lines("""
        a <_adj> house near the <_where>
        a <_adj> village by the sea
        a tower at the edge of the <_place>
        a land far away
        the middle of a <_adj> forest
        a <_adj> castle on a hill
    """),
    "_company": lines("""
        a <_adj> <_creature>
        <_count> brothers
        <_count> <_adj> cats
        a very <_adj> aunt
        nobody but a <_creature>
    """),
    "_creature": words(
        "fox wolf bear owl crow frog cat dog horse goat mouse hare lion snake bee dragon bird witch ghost "
        "fish"
    ),
    "_relative": words(
        "mother father sister brother aunt uncle grandmother grandfather friend teacher neighbour"
    ),
    "_other": (
        "the <_creature>",
        "the old woman",
        "the <_relative>",
        "<_name=story.name>",
        "the king",
        "the captain",
    ),
    "_time": words("morning evening night winter summer spring autumn day afternoon"),
    "_weather": words("cold rainy windy warm snowy foggy stormy dark bright quiet"),
    "_where": ("<_place=story.place>", "<_place=story.place>", "<_adj> <_place=story.place>"),
    "_quality": words(
        "dark quiet warm gone broken frozen full empty burning old beautiful open locked silent cold"
    ),
    "_a_thing": ("a <_thing_c>", "a <_thing_c> full of <_food>", "the <_thing> of <_name=story.name>"),
    "_thing_c": (
        "small <_noun>",
        "golden <_noun>",
        "strange <_noun>",
        "broken <_noun>",
        "tiny <_creature>",
        "<_colour_c> <_noun>",
    ),
    "_colour_c": words("red blue green black white yellow grey brown"),
    "_loves": (
        "<_food> more than gold",
        "the sea",
        "to <_can>",
        "every <_creature> in the <_place>",
        "old songs",
    ),
    "_can": words(
        "sing dance fly swim cry laugh sleep run climb dream shine burn speak read fight hide win cook shake"
    ),
    "_sound": words("noise whisper song cry bell knock laugh voice crash"),
    "_count": words("two three four five six seven nine ten twelve"),
    "story.action": words(
        "walked ran jumped climbed flew sailed crept hurried wandered rode stumbled danced marched swam "
        "tiptoed turned"
    ),
    "story.feeling": words(
        "happy sad afraid angry lonely proud tired curious hungry glad worried surprised brave"
    ),
    "story.dialogue": ('"<_speech>"',),
    "_speech": lines("""
        Where is the <_thing>?
        Who took my <_noun>?
        I am not afraid of the <_creature>,
        Please give me the <_noun>,
        Come with me to the <_place>!
        You must never open the <_noun>,
        What a <_adj> <_noun>!
        I have lost my <_noun>,
        Do you know the way to the <_place>?
        We must return before <_time>,
        Why are you so <_adj>?
        Let me help you with the <_noun>,
        I will wait for you by the <_thing>,
        That is not a <_noun>, that is a <_creature>!
        Follow the <_creature>,
        Nobody has seen the <_creature> since <_time>,
    """),
    # ------------------------------------------------------------------------------------------------ e-mail
    "email": (
        *["<_mail_head>\n\n<_mail_body>"] * 11,
        "<_mail_head>\n\n<email.greeting>\n\nthe server wrote this "
        "again:\n\n<_log_short=log>\n\n<email.closing>",
        "<_mail_head>\n\n<email.greeting>\n\nmy notes in Hebrew: <_he_line=hebrew>\n\n<email.closing>",
        "<_mail_head>\n\n<email.greeting>\n\nhere is the code:\n\n<_py_short=python>\n\n<email.closing>",
    ),
    "_mail_head": (
        "<_h_from=email.header> <_full@me> <<_me_addr@addr=email.address>>\n<_h_to=email.header> "
        "<email.address>\n"
        "<_h_subject=email.header> <email.subject>",
        "<_h_from=email.header> <email.address>\n<_h_to=email.header> <email.address>\n<_h_cc=email.header> "
        "<email.address>\n<_h_subject=email.header> Re: <email.subject>",
        "<_h_to=email.header> <email.address>, <email.address>\n<_h_subject=email.header> Fwd: "
        "<email.subject>",
        "<_h_date=email.header> <_mail_date>\n<_h_from=email.header> <_full@me> <<email.address>>\n"
        "<_h_subject=email.header> <email.subject>",
    ),
    "_h_from": ("From:",),
    "_h_to": ("To:",),
    "_h_cc": ("Cc:",),
    "_h_date": ("Date:",),
    "_h_subject": ("Subject:",),
    "_mail_date": ("<_day3>, <1..28> <_month3> 20<1..2><_d> <1..2><_d>:<3..5><_d>:<1..5><_d> +0<0..3>00",),
    "_day3": words("Mon Tue Wed Thu Fri Sat Sun"),
    "_month3": words("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"),
    "_full": ("<_name> <_surname>",),
    "_me_addr": ("<_user>@<_domain>",),
    "email.address": ("<_user>@<_domain>",),
    "_user": (
        "<_given>.<_family>",
        "<_given><1..99>",
        "<_given>_<_family>",
        "info",
        "support",
        "<_noun>.<_noun>",
    ),
    "_given": words(
        "anna mara lily nora ruth ben carl dan emil finn henry jack leo max paul sam tom vera zoe june"
    ),
    "_family": words(
        "adler baker carter ellis grant hill keller lane miller reed stone turner walker young king"
    ),
    "email.subject": lines("""
        Meeting on <_day>
        Your order of <1..9> <_noun>s
        Invoice <1000..9999>
        Question about the <_thing>
        Plans for <_day>
        Tickets to <_city>
        The <_topic> is late
        Minutes of <_day>
        Lunch in <_month>?
        Holiday in <_city>
        New <_topic> for the <_team>
        Thank you for the <_noun>
    """),
    "_topic": words(
        "report invoice contract draft schedule budget release backup website newsletter order test survey"
    ),
    "_team": words("team office board customers students class group committee"),
    "email.greeting": lines("""
        Dear <_name>,
        Hi <_name>,
        Hello <_name>,
        Dear all,
        Dear Ms <_surname>,
        Dear Mr <_surname>,
        Hi everyone,
        Good morning <_name>,
    """),
    "_mail_body": (
        "<email.greeting>\n\n<_mail_line*1-3>\n<email.closing>",
        "<email.greeting>\n<_mail_line*2-4>\n<email.closing>",
    ),
    "_mail_line": lines(r"""
        please find attached the <_topic> for <_month>.\n
        could you send me the <_topic> by <_day>?\n
        thank you for your message about the <_topic>.\n
        I am out of the office until <_day>.\n
        The meeting moved to <_day> at <9..12>:<1..5>0 in room <1..40>.\n
        We would be happy to see you in <_city> on <_day>.\n
        I checked the <_topic> and found <2..9> small mistakes.\n
        Let me know if <_day> works for you.\n
        Your order of the <_thing> has been shipped to <_city>.\n
        The <_team> needs the new <_topic> before <_month>.\n
        Please reply to <email.address> or call me on <_day>.\n
        Sorry for the late reply, the <_topic> kept me busy.\n
        More details are at https://<_domain>/<_noun>.\n
        Can we talk about the <_topic> after lunch?\n
        I have forwarded your question to the <_team>.\n
        The train to <_city> leaves at <6..9>:<1..5><_d>, so please be on time.\n
        Did you get the <_topic> I sent on <_day>?\n
        The password for the <_topic> is in a separate mail.\n
    """),
    "email.closing": lines(r"""
        Best regards,\n<_name>
        Kind regards,\n<_name> <_surname>
        Thanks,\n<_name>
        Cheers, <_name>
        Yours sincerely,\n<_name> <_surname>
        See you soon,\n<_name>
        All the best\n<_name>\n--\n<_name> <_surname>, <_city>
    """),
}
