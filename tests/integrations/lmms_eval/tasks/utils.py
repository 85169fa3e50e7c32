"""What the local tasks of lmms-eval do with a row of questions.parquet."""


def shown(doc):
    return [] if doc["image"] is None else [doc["image"].convert("RGB")]


def shown_twice(doc):
    return shown(doc) * 2


def film(doc):
    return ["film.mp4"]


def text(doc):
    return doc["question"]


def scored(doc, results):
    return {"accuracy": float(results[0].strip().lower() == doc["answer"].lower())}
