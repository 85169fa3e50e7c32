"""Yes or no, by the rules of MME and POPE, and by our own. Each returns `yes`, `no`, or None for neither."""

import re


def mme(answer: str) -> str | None:
    """Look for "yes", then "no", in the first four characters of an answer (Fu et al. 2023).

    As in lmms-eval, full stops and outer spaces are dropped first, and a lone "y" or "n" counts.
    """
    plain = answer.lower().strip().replace(".", "")
    if len(plain) == 1:
        return {"y": "yes", "n": "no"}.get(plain)
    return next((word for word in ("yes", "no") if word in plain[:4]), None)


def pope(answer: str) -> str | None:
    """Take `no` if the first sentence has the word "no", "No" or "not", else `yes` if it has "yes" (Li et al. 2023).

    The published rule splits words at spaces and takes everything that is not "no" for `yes`, even an empty answer.
    Here "yes" in any case, with any punctuation around it, is `yes`, and an answer with neither word is no answer.
    """
    sentence = answer.strip().partition(".")[0].replace(",", "")
    if {"no", "No", "not"} & set(sentence.split(" ")):
        return "no"
    return "yes" if re.search(r"\byes\b", sentence, re.IGNORECASE) else None


def yes_or_no(answer: str) -> str | None:
    """Take the first word if it is yes or no, else the only one of the two that occurs, else `no` for "not", "n't"."""
    words: list[str] = re.findall(r"[a-z]+(?:['’]t)?", answer.lower())
    said = {word for word in words if word in ("yes", "no")}
    if words and words[0] in said:
        return words[0]
    if len(said) == 1:
        return said.pop()
    denied = "not" in words or any(word.endswith(("n't", "n’t")) for word in words)
    return "no" if denied and not said else None
