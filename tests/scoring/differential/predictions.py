"""Predictions of many kinds, the same in every run: what models say, and what they should not say."""

from collections.abc import Sequence
from random import Random

LETTERS = "ABCDEFGHIJ"
NOISE = (
    "", " ", "\n", ".", "...", "?", "!", "-", "--", "(", ")", "()", "$", "%", "€", "\\", "{}", "[]", "<", ">", "<br>",
    "é", "日本", "✓", "\u200b", "½", "٣", "５", "Ｂ", "İ", "ſ", "a", "an", "the", "The", "A.", "I", "nan", "inf",
    "infinity", "None", "null", "N/A", "none", "zero", "unknown", "I cannot tell", "I don't know.",
    "Sorry, I cannot see an image.", "It depends.", "x", "e", "1e400", "0x10", "1_000", "'", '"', "''", "**", "***",
    "." * 40, "Let me think. First, I look at the image. Then I count. So", "No answer", "Not sure", "both", "neither",
)  # fmt: skip
CHOICE_FORMS = (
    "{L}", "{L}.", "{L})", "{L}:", "({L})", "({L}).", "[{L}]", "**{L}**", "'{L}'", '"{L}"', "{L},", " {L} ", "\n{L}\n",
    "{l}", "{l}.", "({l})", "{L}. {t}", "{L}) {t}", "({L}) {t}", "{L}: {t}", "{L} {t}", "{L}.{t}", "{L}\n{t}",
    "{L} - {t}", "{t}", "{t}.", "{T}", "the {t}", "It is {t}.", "It is {t}", "Answer: {L}", "Answer: {L}.",
    "Answer: ({L})", "answer: {l}", "The answer is {L}", "The answer is {L}.", "The answer is {L}. {t}",
    "The answer is {L}, {t}", "the answer is {L}.", "the answer is {l}", "The answer is ({L}).",
    "The answer is **{L}**.", "The answer is **{L}**, not {M}", "The answer is {t}.", "The answer is {t}",
    'The answer is "{L}".', 'The answer is "{t}".', "The correct answer is {L}.", "The correct option is {L}",
    "My answer is {L}", "I choose {L}", "I pick ({L}).", "Option {L}", "Option {L}.", "option {l}", "Option {L}: {t}",
    "Choice {L} is right", "{L} or {M}", "{L}, {M}", "{L}/{M}", "Not {M} but {L}", "({M}) is wrong, so ({L})",
    "It is not {M}, the answer is {L}", "The answer is {M}. The answer is {L}.", "Between {M} and {L} I say {L}",
    "I think that it is {L} because of what the image shows on its left side.",
    "Looking at the image for a long while I would say {t}, all things considered.",
    "As far as can be told from the image, {t} is what is asked for here",
    "{L} is the option that I would choose after some thought about it all", "{t} {u}", "{t} or {u}", "Not {u} but {t}",
    "答案是{L}", "答案：{L}", "정답은 {L}", "\\boxed{{{L}}}", "$\\text{{{L}}}$", "${L}$", "<b>{L}</b>", "{L}{M}",
    "{L} {M}", "USA. {L}", "{L}; {t}", "{L}\u3002", "Because {t}", "Final answer: {L}",
)  # fmt: skip
YES_NO = (
    "Yes", "No", "yes", "no", "YES", "NO", "Yes.", "No.", "yes.", "no.", "Yes!", "No!", "Yes,", "No,", "yes?", "Y", "N",
    "y", "n", "y.", "n.", " Yes", " no ", "\nYes", "Yes\n", "No\n", "Yes\nno", "No\nyes", "No\n\nThere is no dog",
    "**Yes**", "**No**", "'Yes'", '"No"', "(Yes)", "[no]", "Yes, there is a dog in the image.",
    "No, there is no dog in the image.", "No, there is not.", "Yes, there is", "There is a dog.", "There is no dog.",
    "There is not a dog.", "There isn't a dog.", "There are no dogs, only cats", "I do not see one", "I don't see one",
    "The answer is yes", "The answer is yes.", "The answer is no", "The answer is: No.", "Answer: Yes", "Answer: no",
    "It is yes, not no", "yes or no", "yes and no", "no, yes", "Yes no", "not at all", "Not at all", "Nothing",
    "nothing", "None", "Nope", "nah", "Yeah", "Yep", "yess", "yesterday", "Yesterday", "eyes", "know", "I know",
    "notice", "Notice the sign: yes", "Yes, the stone has a death notice", "Unknown", "Of course", "Of course not.",
    "Sure.", "Certainly, yes.", "Correct", "That is right", "True", "False", "1", "0", "maybe", "Maybe not", "oui",
    "はい", "Ｙｅｓ", "ja", "Yes. But no cat", "A dog. No cat", "Mr. No", "...Yes", "...no", ". no", "-yes", "yes-no",
    "yes/no", "no,no", "yes,no", "The image shows a dog, so yes.", "The image shows a cat, so no.",
    "The image is not clear, yes", "It seems that there is one; yes", "YES, IT IS", "NO, IT IS NOT", "nO", "yEs", "NOT",
)  # fmt: skip
NUMBER_FORMS = (
    "{n}", "{n}.", " {n} ", "\n{n}", "{n}.0", "{n}.00", "{n}.04", "{n}.4", "{n}.6", "{n},0", "+{n}", "-{n}", "0{n}",
    "{n}0", "{n}%", "{n} %", "{n}%%", "${n}", "${n}$", "€{n}", "{n}°", "{n} cm", "{n}cm", "{n} m/s", "{n} million",
    "{n}e0", "{n}E+00", "{n}e2", "{n}/1", "{n} or {m}", "{n}, {m}", "{m} {n}", "{n}-{m}", "about {n}", "~{n}",
    "x = {n}", "x={n}", "= {n}", "The answer is {n}", "The answer is {n}.", 'The answer is "{n}".', "Answer: {n}",
    "answer: {n}.", "the total is {n}.", "There are {n} of them.", "{n} of them", "It is {n}, not {m}",
    "First {m}, then {n}\nso the result is {n}", "The final answer is {n}", "so {m} and therefore {n}",
    "could be {n} or {m}", "(B) {n}", "[{n}]", "[{n}, {m}]", "[{n},{m}]", "({n})", "'{n}'", '"{n}"', "**{n}**",
    "\\boxed{{{n}}}", "{n}\u00a0", "{n}\u3002", "{n};", "1,{n}", "{n}_0",
)  # fmt: skip
TEXT_FORMS = (
    "{t}", "{t}.", "{t}!", "{t}?", " {t} ", "\n{t}\n", "{T}", "{S}", "the {t}", "The {t}.", "a {t}", "{t}s", "un{t}",
    "{t} {u}", "{u} {t}", "{t}, {u}", "{t},{u}", "{t}; {u}", "{t};{u}", "{t}/{u}", "{t} / {u}", "{t}-{u}", "{t} - {u}",
    "{t}_{u}", "({t})", "[{t}]", '"{t}"', "'{t}'", "`{t}`", "**{t}**", "It is {t}.", "It is {t}", "It's {t}",
    "The answer is {t}", "The answer is {t}.", "Answer: {t}", "so {t}", "I see {t} and {u}", "not {t}", "{t}\n{u}",
    "{t}\t{u}", "{t}'s", "{t} 's", "{t}é", "<{t}>", "{t} = {u}", "{t}@{u}", "{t}\\{u}", "{t}  {u}", "{t}.{u}",
    "{t}. {u}", "St. {t}", "{t}...", "{t} one two", "three {t}", "{t} 1,000", "1,000;{t}", "none {t}",
)  # fmt: skip


def noise(seed: int, count: int = 60) -> list[str]:
    """Return what answers no question: odd texts, and random ones from a small alphabet of troublesome signs."""
    random = Random(seed)
    alphabet = "ABCDabcd yesno019.,:;!?()[]'\"-/*%$=<>\n\té日"
    return [*NOISE, *("".join(random.choices(alphabet, k=random.randint(1, 12))) for _ in range(count))]


def of_choices(options: Sequence[str], seed: int) -> list[str]:
    """Return what a model may say to a multiple-choice question, whose second option is right."""
    random = Random(seed)
    said = []
    for form in CHOICE_FORMS:
        for index, other in ((1, 0), random.sample(range(len(options)), 2)):
            letter = LETTERS[index]
            words = {"t": options[index], "T": options[index].upper(), "u": options[other]}
            said.append(form.format(L=letter, l=letter.lower(), M=LETTERS[other], **words))
    return _distinct([*said, *LETTERS, *LETTERS.lower(), *options, "Z", "Z.", *noise(seed)])


def of_yes_or_no(seed: int) -> list[str]:
    """Return what a model may say to a question that asks for yes or no."""
    return _distinct([*YES_NO, *noise(seed)])


def of_numbers(numbers: Sequence[str], seed: int) -> list[str]:
    """Return what a model may say to a question that asks for a number; the first of the numbers is right."""
    near = [*numbers, *(f"{float(number) * factor:g}" for number in numbers[:1] for factor in (0.94, 0.96, 1.04, 1.06))]
    said = [form.format(n=number, m=numbers[-1]) for form in NUMBER_FORMS for number in numbers[:2]]
    return _distinct([*near, *said, *noise(seed)])


def of_texts(texts: Sequence[str], seed: int) -> list[str]:
    """Return what a model may say to a question with a text as answer; the first of the texts is right."""
    said = []
    for form in TEXT_FORMS:
        for index in range(min(2, len(texts))):
            one, other = texts[index], texts[index - 1]
            said.append(form.format(t=one, T=one.upper(), S=one.replace(" ", ""), u=other))
    return _distinct([*texts, *said, *noise(seed)])


def _distinct(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))
