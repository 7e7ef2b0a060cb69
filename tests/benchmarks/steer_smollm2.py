"""Ten latents of the SAE for SmolLM2 with an evident topic, each beside its baselines: ``python steer_smollm2.py INDEX``.

INDEX, of held-out text, gives the maxima. A text is of a topic if one of its words, or that word with an s, is in it; words,
examples and prompts were written down before anything was measured. Prints a row for each: shares of texts of the topic
without steering, behind an example, along the difference of means, a random direction, a random latent and the latent, then
the ratios of perplexity of latent and difference, and what wins. About a minute of one core for each topic.
"""

import re
import sys

import saelab as sl

TOPICS = {  # name: latent, an example, and the words that a text of the topic has
    "food plants": (7031, "Apples, pears and ripe cherries lay beside the beans and onions.", """apple pear plum cherry
        cherries grape lemon orange fig olive onion garlic potato potatoes tomato tomatoes bean pea corn wheat rice fruit
        vegetable spice pepper ginger herb cabbage melon berry berries nut almond seed"""),
    "places in the USA": (3867, "They moved from Ohio to Texas and later to Virginia.", """texas california ohio virginia
        carolina florida georgia york boston chicago kansas michigan maine louisiana alabama oregon pennsylvania missouri
        iowa colorado tennessee kentucky"""),
    "ships": (1927, "The captain of the ship stood on deck and the sails filled.", """ship sail sailed sailing sailor boat
        vessel captain deck mast harbor anchor crew sea voyage port fleet navy"""),
    "Asia": (2287, "In China, Japan and India the peoples of Asia traded silk.", """asia asian asiatic china chinese japan
        japanese india indian tibet mongol mongolia korea persia persian siam malay burma tartar hindu"""),
    "flowers": (3255, "The flower has white petals, a green stem and narrow leaves.", """flower petal rose lily bloom
        blossom leaf leaves stem stamen bud violet tulip plant"""),
    "diseases": (4791, "The patient had a fever, a sign of the disease.", """disease fever cholera infection cancer pox
        smallpox plague illness sick sickness symptom syphilis tuberculosis inflammation patient"""),
    "insects": (5852, "Beetles, moths and wasps are insects with six legs.", """insect beetle fly flies moth bee ant wasp
        butterfly butterflies larva larvae spider crab shrimp lobster crustacean"""),
    "face and body": (2335, "Her face was pale, her eyes dark, her lips thin.", """face eye nose mouth lip cheek chin hair
        hand arm finger neck shoulder brow head"""),
    "animals": (4972, "The lion, the wolf and the cat hunt smaller animals.", """lion cat dog rat wolf wolves tiger bear fox
        horse mouse mice animal monkey rabbit elephant sheep cow"""),
    "git": (1166, "Use git commit and then git push to the remote branch.", """git commit branch branches merge merged
        repository repositories checkout rebase diff patch clone"""),
}  # fmt: skip
PROMPT, OTHER = "My friend told me that", "It is well known that"


def judge_of(topic: str):
    words = set(TOPICS[topic][2].split())

    def judge(text: str) -> str | None:
        said = re.findall("[a-z]+", text.lower())
        return topic if any(w in words or w.removesuffix("s") in words for w in said) else None

    return judge


def main(path: str) -> None:
    model, sae = sl.load_model("smollm2"), sl.load_sae("smollm2")
    index = sl.LatentIndex.open(path, model=model, sae=sae)
    examples = {topic: [example] for topic, (_, example, _) in TOPICS.items()}
    names = ("unsteered", "prompt", "difference", "random", "random_latent", "steered")
    for topic, (latent, *_) in TOPICS.items():
        found = sl.steering_success(
            model, sae, {topic: [latent]}, judge_of(topic), relative=index, examples=examples, prompts=[PROMPT],
            tuning_prompts=[OTHER], strengths=(1, 2), schedules=(None,), n=20, tune=4, controls=1,
            max_new_tokens=12, temperature=0.8, special=False, progress=False,
        ).frame.iloc[0]  # fmt: skip
        shares = " | ".join(f"{found[name]:.0%}" for name in names)
        sys.stdout.write(
            f"| {topic} | {latent} | {found.strength:g} | {shares} | {found.ratio:.1f} | "
            f"{found.difference_ratio:.1f} | {found.winner} |\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
