"""Hebrew, Russian and Japanese: simple sentences as in a reader for beginners. Phrases are listed in the form
that they need, so that gender and case agree."""

from __future__ import annotations

from saelab.zoo.grammar import Rule, lines, words

RULES: dict[str, Rule] = {
    # ------------------------------------------------------------------------------------------------ hebrew
    "hebrew": (
        "<_he_line*4-7>",
        "<_he_line*4-7>",
        "<_he_line*2-3>\n\n<_he_line*2-3>",
        "<hebrew.dialogue>\n<hebrew.dialogue>\n<hebrew.dialogue>",
        "<_he_line*1-2><hebrew.dialogue>\n<_he_line*1-2>",
    ),
    "_he_line": lines("""
        <_he_him=hebrew.name> <_he_verb_m=hebrew.verb> <_he_object> <_he_where>.
        <_he_her=hebrew.name> <_he_verb_f=hebrew.verb> <_he_object> <_he_where>.
        <_he_noun_m> <_he_verb_m=hebrew.verb> <_he_where>.
        <_he_noun_f> <_he_verb_f=hebrew.verb> <_he_where>.
        <hebrew.time> <_he_him=hebrew.name> <_he_verb_m=hebrew.verb> <_he_object>.
        <hebrew.time> <_he_her=hebrew.name> <_he_verb_f=hebrew.verb> <_he_object>.
        <_he_noun_m> הוא <_he_adj_m=hebrew.adjective> ו<_he_adj_m=hebrew.adjective>.
        <_he_noun_f> היא <_he_adj_f=hebrew.adjective> ו<_he_adj_f=hebrew.adjective>.
        יש לי <hebrew.number> <_he_plural>.
        אין <_he_where> <_he_plural>.
        <hebrew.question>
        <hebrew.question> אני לא יודע.
        אני אוהב את <_he_noun_m> ואת <_he_noun_f>.
        <_he_her=hebrew.name> ו<_he_him=hebrew.name> הלכו <_he_to>.
        <_he_noun_m> של <_he_her=hebrew.name> נמצא <_he_where>.
        זה לא <_he_object>, זה <_he_object>.
    """),
    "hebrew.dialogue": (
        '"<hebrew.question>" שאל <_he_him=hebrew.name>.',
        '"<_he_short>" אמרה <_he_her=hebrew.name>.',
        "- <hebrew.question>\n- <_he_short>",
        '"<_he_short>" אמר <_he_him=hebrew.name>, "<_he_short>"',
    ),
    "_he_short": (
        "שלום, מה שלומך?",
        "תודה רבה!",
        "בוקר טוב!",
        "לילה טוב, <_he_her=hebrew.name>.",
        "בבקשה, הנה <_he_object>.",
        "לא, אני רוצה <_he_object>.",
        "כן, <_he_noun_m> <_he_adj_m=hebrew.adjective>.",
        "אני גר <_he_where>.",
        "נתראה <hebrew.time>.",
    ),
    "_he_him": words("דוד משה יוסף אברהם דניאל יונתן אורי עמית רון גיל נועם איתן"),
    "_he_her": words("שרה רחל מרים דנה נועה תמר מיכל רות לאה יעל חנה אסתר"),
    "_he_verb_m": words("אוכל קורא כותב רואה קונה מוצא מביא אוהב מוכר שומר מחפש רוצה לוקח מצייר"),
    "_he_verb_f": words("אוכלת קוראת כותבת רואה קונה מוצאת מביאה אוהבת מוכרת שומרת מחפשת רוצה לוקחת מציירת"),
    "_he_object": (
        "ספר",
        "תפוח",
        "לחם",
        "מכתב",
        "ספר <_he_adj_m=hebrew.adjective>",
        "תפוח <_he_adj_m=hebrew.adjective>",
        "כלב <_he_adj_m=hebrew.adjective>",
        "תמונה",
        "תמונה <_he_adj_f=hebrew.adjective>",
        "עוגה <_he_adj_f=hebrew.adjective>",
        "מים",
        "פרחים",
        "שולחן",
        "כדור",
        "מפתח",
        "סיפור",
    ),
    "_he_noun_m": words("הילד הכלב הבית הספר החתול המלך הים השולחן העץ הירח המורה הכפר"),
    "_he_noun_f": words("הילדה העיר התמונה השמש המלכה הדלת הרוח המכונית הגינה הציפור המורה הספינה"),
    "_he_plural": words("ספרים ילדים תפוחים כלבים חברים עצים פרחים מכתבים ימים כוכבים"),
    "_he_adj_m": words("גדול קטן חדש ישן יפה טוב אדום כחול ירוק חזק שקט חכם עצוב שמח מתוק"),
    "_he_adj_f": words("גדולה קטנה חדשה ישנה יפה טובה אדומה כחולה ירוקה חזקה שקטה חכמה עצובה שמחה מתוקה"),
    "_he_where": (
        "בבית",
        "בעיר",
        "בגן",
        "ברחוב",
        "בשוק",
        "ליד הים",
        "בבית הספר",
        "על השולחן",
        "תחת העץ",
        "ביער",
        "במטבח",
        "בכפר",
    ),
    "_he_to": ("הביתה", "לים", "לשוק", "לבית הספר", "לעיר", "ליער", "אל המלך"),
    "hebrew.time": words("היום אתמול מחר עכשיו בבוקר בערב בלילה בצהריים"),
    "hebrew.number": words("שני שלושה ארבעה חמישה שישה שבעה עשרה הרבה"),
    "hebrew.question": (
        "איפה <_he_noun_m>?",
        "איפה <_he_noun_f>?",
        "מי גר <_he_where>?",
        "מה זה?",
        "למה <_he_him=hebrew.name> לא בא?",
        "מתי <_he_her=hebrew.name> באה?",
        "כמה <_he_plural> יש לך?",
        "האם <_he_noun_f> <_he_adj_f=hebrew.adjective>?",
        "לאן הלך <_he_him=hebrew.name>?",
    ),
    # ----------------------------------------------------------------------------------------------- russian
    "russian": (
        "<_ru_line*3-6>",
        "<_ru_line*3-6>",
        "<_ru_line*2-3>\n\n<_ru_line*1-2>",
        "<_ru_line*1-2>\n<russian.dialogue>\n<russian.dialogue>\n<_ru_line>",
        "<russian.dialogue>\n<russian.dialogue>\n<_ru_line*1-2>",
    ),
    "_ru_line": lines("""
        <_ru_him=russian.name> <_ru_verb_m=russian.verb> <_ru_object> <_ru_where>.
        <_ru_her=russian.name> <_ru_verb_f=russian.verb> <_ru_object> <_ru_where>.
        <^_ru_time=russian.time> <_ru_him=russian.name> <_ru_verb_m=russian.verb> <_ru_object>.
        <^_ru_time=russian.time> <_ru_her=russian.name> <_ru_verb_f=russian.verb> <_ru_object>.
        <^_ru_adj_m=russian.adjective> <_ru_noun_m> стоял <_ru_where>.
        <^_ru_adj_f=russian.adjective> <_ru_noun_f> была <_ru_where>.
        Это <_ru_adj_m=russian.adjective> <_ru_noun_m>, а это <_ru_adj_f=russian.adjective> <_ru_noun_f>.
        У меня есть <_ru_noun_m> и <_ru_noun_f>.
        <russian.question>
        <^_ru_where> жил <_ru_adj_m=russian.adjective> <_ru_noun_m>.
        Жила-была <_ru_adj_f=russian.adjective> <_ru_noun_f>.
        <_ru_him=russian.name> и <_ru_her=russian.name> пошли <_ru_to>.
        Мне нравится <_ru_adj_m=russian.adjective> <_ru_noun_m>, но <_ru_her=russian.name> любит <_ru_object>.
        Когда <_ru_her=russian.name> пришла домой, <_ru_noun_m> был <_ru_where>.
    """),
    "russian.dialogue": (
        "— <russian.question> — спросил <_ru_him=russian.name>.",
        "— <_ru_short> — ответила <_ru_her=russian.name>.",
        "«<_ru_short>» — сказал <_ru_him=russian.name>.",
        "— <_ru_short> — сказала <_ru_her=russian.name>.",
    ),
    "_ru_short": (
        "Спасибо!",
        "Здравствуйте!",
        "Доброе утро, <_ru_her=russian.name>!",
        "Я не знаю,",
        "Пойдём <_ru_to>!",
        "Нет, это мой <_ru_noun_m>,",
        "Да, конечно,",
        "Дай мне <_ru_object>,",
        "До свидания!",
        "Мы были <_ru_where>,",
    ),
    "_ru_him": words("Иван Пётр Борис Андрей Николай Сергей Михаил Дмитрий Олег Павел Фёдор Илья"),
    "_ru_her": words("Анна Мария Ольга Наташа Елена Вера Татьяна Ирина Катя Соня Дарья Лена"),
    "_ru_verb_m": words(
        "купил нашёл видел принёс потерял взял читал любил забыл показал рисовал искал открыл"
    ),
    "_ru_verb_f": words(
        "купила нашла видела принесла потеряла взяла читала любила забыла показала рисовала искала открыла"
    ),
    "_ru_object": (
        "книгу",
        "хлеб",
        "письмо",
        "яблоко",
        "<_ru_acc_adj=russian.adjective> книгу",
        "<_ru_acc_adj=russian.adjective> рыбу",
        "молоко",
        "ключ",
        "песню",
        "<_ru_acc_adj=russian.adjective> шапку",
        "газету",
        "картину",
        "цветы",
        "мяч",
        "сказку",
        "воду и хлеб",
    ),
    "_ru_acc_adj": words("новую старую большую маленькую красную синюю белую красивую хорошую"),
    "_ru_adj_m": words(
        "новый старый большой маленький красный белый чёрный зелёный красивый хороший добрый тихий умный "
        "холодный"
    ),
    "_ru_adj_f": words(
        "новая старая большая маленькая красная белая чёрная зелёная красивая хорошая добрая тихая умная "
        "холодная"
    ),
    "_ru_noun_m": words("дом стол кот лес город человек мальчик сад снег волк поезд учитель корабль мост"),
    "_ru_noun_f": words(
        "девочка собака река книга школа зима птица дорога лиса женщина комната звезда машина гора"
    ),
    "_ru_where": (
        "в лесу",
        "в городе",
        "дома",
        "на улице",
        "в школе",
        "на столе",
        "у реки",
        "в саду",
        "за домом",
        "под снегом",
        "на мосту",
        "в комнате",
    ),
    "_ru_to": ("домой", "в лес", "в школу", "на рынок", "к реке", "в город", "в театр"),
    "_ru_time": words("вчера утром вечером ночью сегодня летом зимой однажды потом"),
    "russian.time": ("в <3..9> часов",),
    "russian.question": (
        "Где <_ru_noun_m>?",
        "Где моя <_ru_noun_f>?",
        "Кто живёт <_ru_where>?",
        "Что это?",
        "Почему <_ru_her=russian.name> не пришла?",
        "Когда приедет <_ru_him=russian.name>?",
        "Сколько стоит <_ru_noun_f>?",
        "Ты видел <_ru_object>?",
        "Куда пошёл <_ru_him=russian.name>?",
    ),
    # ---------------------------------------------------------------------------------------------- japanese
    "japanese": (
        "<_ja_line*4-7>",
        "<_ja_line*4-7>",
        "<_ja_line*2-3>\n<_ja_line*2-3>",
        "<japanese.dialogue>\n<japanese.dialogue>\n<_ja_line*1-3>",
    ),
    "_ja_line": lines("""
        <_ja_who=japanese.name><_ja_wa=japanese.particle><_ja_where><_ja_de=japanese.particle><_ja_object><_ja_o=japanese.particle><_ja_verb=japanese.verb>。
        <_ja_who=japanese.name><_ja_wa=japanese.particle><_ja_time=japanese.time>、<_ja_object><_ja_o=japanese.particle><_ja_verb=japanese.verb>。
        <_ja_time=japanese.time>、<_ja_where><_ja_ni=japanese.particle>行きました。
        <_ja_who=japanese.name><_ja_to=japanese.particle><_ja_where><_ja_ni=japanese.particle>行きます。
        この<_ja_noun><_ja_wa=japanese.particle>とても<_ja_adj=japanese.adjective>です。
        <_ja_adj=japanese.adjective><_ja_noun><_ja_ga=japanese.particle>好きです。
        <_ja_where><_ja_ni=japanese.particle><_ja_animal><_ja_ga=japanese.particle>います。
        <_ja_where><_ja_ni=japanese.particle><_ja_adj=japanese.adjective><_ja_noun><_ja_ga=japanese.particle>あります。
        <_ja_animal><_ja_wa=japanese.particle><_ja_adj=japanese.adjective><_ja_noun><_ja_o=japanese.particle>見ました。
        <_ja_loan=japanese.loanword><_ja_o=japanese.particle><_ja_count=japanese.number>ください。
        むかしむかし、<_ja_where><_ja_ni=japanese.particle><_ja_animal><_ja_ga=japanese.particle>いました。
        <japanese.question>
        私の<_ja_noun><_ja_wa=japanese.particle><_ja_where><_ja_ni=japanese.particle>あります。
    """),
    "japanese.dialogue": (
        "「<_ja_short>」と<_ja_who=japanese.name><_ja_ga=japanese.particle>言いました。",
        "「<japanese.question>」「<_ja_short>」",
    ),
    "_ja_short": (
        "おはようございます",
        "ありがとう",
        "こんにちは",
        "はい、そうです",
        "いいえ、ちがいます",
        "すみません",
        "おいしいですね",
        "<_ja_object><_ja_ga=japanese.particle>ほしいです",
        "また明日",
        "わかりました",
    ),
    "_ja_who": words("田中さん 山田さん 鈴木さん 佐藤さん 高橋さん はなこ たろう ゆき けん さくら"),
    "_ja_wa": ("は",),
    "_ja_ga": ("が",),
    "_ja_o": ("を",),
    "_ja_ni": ("に",),
    "_ja_de": ("で",),
    "_ja_to": ("と",),
    "_ja_where": words("学校 駅 公園 家 山 海 東京 図書館 町 川 森 店 庭 部屋"),
    "_ja_object": (
        "本",
        "水",
        "魚",
        "りんご",
        "手紙",
        "新聞",
        "ごはん",
        "おちゃ",
        "花",
        "<_ja_loan=japanese.loanword>",
        "<_ja_loan=japanese.loanword>",
        "写真",
    ),
    "_ja_loan": words("コーヒー パン ケーキ テレビ カメラ ピアノ ワイン シャツ ボール ノート チーズ バナナ"),
    "_ja_noun": (
        "本",
        "花",
        "車",
        "犬",
        "時計",
        "かばん",
        "木",
        "絵",
        "机",
        "傘",
        "<_ja_loan=japanese.loanword>",
    ),
    "_ja_animal": words("犬 猫 鳥 うさぎ きつね 馬 くま ねずみ おじいさん おばあさん"),
    "_ja_adj": words("大きい 小さい 新しい 古い 赤い 青い 白い 黒い おいしい 高い 安い かわいい おもしろい"),
    "_ja_verb": words(
        "買いました 読みました 見ました 食べました 飲みます 作ります 書きました もらいました 忘れました "
        "買います"
    ),
    "_ja_time": (
        "今日",
        "昨日",
        "明日",
        "朝",
        "夜",
        "<1..12>時",
        "<1..12>月<1..28>日",
        "日曜日",
        "月曜日",
        "毎日",
        "夏",
    ),
    "_ja_count": ("一つ", "二つ", "三つ", "四つ", "<2..9>個", "少し"),
    "japanese.question": (
        "<_ja_noun><_ja_wa=japanese.particle>どこですか。",
        "これ<_ja_wa=japanese.particle>何ですか。",
        "だれ<_ja_ga=japanese.particle>来ましたか。",
        "<_ja_object><_ja_o=japanese.particle>食べますか。",
        "いつ<_ja_where><_ja_ni=japanese.particle>行きますか。",
        "いくらですか。",
    ),
}

# words of one line are joined by spaces there, so each line ends in one
for _symbol in ("_he_line", "_ru_line"):
    RULES[_symbol] = tuple(line + " " for line in RULES[_symbol])  # type: ignore[union-attr]
