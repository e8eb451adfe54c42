"""Personal ratings of people and photos that training saw neither of, beside a linear probe on the same features."""

import base64
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from safetensors.torch import load, save

from ...data.record import DataError, Record
from ...data.source import read_source
from ...data.sources.flickr_aes import tested_workers, votes_by_photo
from ...data.splits import oasis_tested_people
from ...personalization.rater_prior import RaterPrior
from ...processing.image_loading import ImageError
from ..eval_personal import PersonalMethods, ridge_predictions
from ..personal_protocols import Predict, Protocol, aadb, flickr_aes, oasis_beauty, own_votes, para, real_cur, run_protocol
from ..photo_features import PhotoFeatures, read_photo_features
from ..resampling import sampled_mean
from .bench import BATCH_SIZE, Bench, Finding
from .evaluated_data import EvaluatedData
from .system import System

PERSONAL = "personal"
PROBE = "linear probe"
SHOTS, DRAWS = (10, 100), 10


def personal_findings(bench: Bench, system: System, data: EvaluatedData) -> list[Finding]:
    """Mean rank correlation of a person's ratings with those that are predicted from k of their ratings.

    The method is the package's default, ridge regression with the prior that the checkpoint carries. The linear probe is ridge
    regression on the same features and general ratings without a prior.
    """
    scale, records = system.assessor.processor.rating_scale, _with_votes(data)
    question = next((record.question for record in records if scale.nearest(record.question) in scale.questions), None)
    if question is None:
        bench.note(
            f"{data.name} holds no single votes on a question that {system.name} answers, so there are no personal ratings."
        )
        return []
    photos = data.keyed(records, fails=False)
    asked = scale.nearest(question)
    seen = _look(bench, system, data, photos, asked)
    records = [record for key, record in photos.items() if key in seen]
    try:
        protocol = protocol_of(data, records)
    except DataError as error:
        bench.note(f"{data.name}: {error}")
        return []
    if bench.sizes.people is not None:
        protocol = replace(protocol, people=protocol.people[: bench.sizes.people])
    features = PhotoFeatures.concat([seen[key] for key in photos if key in seen])
    low, high = records[0].range_low, records[0].range_high
    assert low is not None and high is not None
    prior = RaterPrior.of_processor(system.assessor.processor)
    methods = PersonalMethods(system.assessor, features, (low, high), prior, asked)
    probe = ridge_predictions(features.photos.embeddings, features.photos.general, scale, (low, high), None)
    findings = []
    for name, predict in ((system.name, methods.named("ridge")), (f"{PROBE}, {system.name}", probe)):
        rows = _correlations(bench, system, data, protocol, name, predict)
        general = rows[:, 0]
        for column, count in enumerate((0, *protocol.shots)):
            figures = {"srcc_people": sampled_mean(rows[:, column])}
            if count:
                figures["gain"] = sampled_mean(rows[:, column] - general)
            part = f"k={count}"
            findings.append(Finding(PERSONAL, data.name, question, part, name, len(rows), "people", figures))
    return findings


def protocol_of(data: EvaluatedData, records: list[Record]) -> Protocol:
    """Whose ratings are predicted: as published for the source, with 10 and 100 ratings shown, drawn ten times.

    Raises:
        DataError: nobody rated enough photos.
    """
    name = data.source.name
    if name == "flickr_aes":
        return flickr_aes(records, tested_workers(data.root, votes_by_photo(data.root)))
    if name == "real_cur":
        return real_cur(records)
    if name == "para":
        return para(records)
    if name == "aadb":
        return aadb(records)
    if name == "oasis_beauty":
        raters = {vote.rater for record in records for vote in record.votes}
        asked = {record.image.name for record in records if record.split == data.split}
        found = oasis_beauty(records, oasis_tested_people(sorted(raters)), asked)
        people = tuple(person for person in found.people if len(person.shown) >= max(SHOTS) and len(person.asked or ()) >= 3)
        if not people:
            raise DataError(f"nobody who is tested rated {max(SHOTS)} photos that may be shown.")
        return replace(found, people=people, shots=SHOTS, draws=DRAWS)
    return own_votes(records, SHOTS, DRAWS)


def _with_votes(data: EvaluatedData) -> list[Record]:
    """Records with single votes; of OASIS also the training photos, which may be shown."""
    records = [record for record in data.records if record.votes and data.path_of(record) not in data.failed]
    if records and data.source.name == "oasis_beauty" and data.split != "train":
        records += read_source(data.source, data.root, "train", skip_missing=True)[0]
    return records


def _look(
    bench: Bench, system: System, data: EvaluatedData, photos: dict[str, Record], question: str
) -> dict[str, PhotoFeatures]:
    """What the checkpoint sees of each photo, and its rating; those that cannot be judged are left out."""

    def ask(records: list[Record]) -> Iterable[str | ImageError]:
        # each by itself: a photo's features must not depend on which others can be read
        for record in records:
            try:
                seen = read_photo_features(system.assessor, [record.image], question=question)
            except ImageError as error:
                yield error
            else:
                yield base64.b64encode(save(seen.tensors())).decode()

    is_default = question == system.assessor.processor.rating_scale.default_question
    identity = {"checkpoint": system.identity, **({} if is_default else {"question": question})}
    answers = bench.cache.answers(
        "people",
        identity,
        photos,
        ask,
        BATCH_SIZE,
        f"{system.name}: photos of people, {data.name}",
        lambda text: PhotoFeatures.from_tensors(load(base64.b64decode(text, validate=True))),
    )
    return answers.found


def _correlations(
    bench: Bench, system: System, data: EvaluatedData, protocol: Protocol, name: str, predict: Predict
) -> np.ndarray:
    """[people, shots]; column 0 is k = 0. Each person is kept as soon as all their draws are done."""
    people = {person.name: person for person in protocol.people}

    def ask(some: list) -> Iterable[list[float]]:
        for person in some:
            yield run_protocol(replace(protocol, people=(person,)), predict).correlations[0].tolist()

    def read(found: list[float]) -> list[float]:
        if len(found) != 1 + len(protocol.shots):
            raise ValueError(f"{found} are not {1 + len(protocol.shots)} correlations.")
        return [float(value) for value in found]

    identity = {
        "checkpoint": system.identity,
        "method": PROBE if name != system.name else "ridge",
        "protocol": [data.name, data.split, protocol.shots, protocol.draws],
        "photos": [data.key(record) for record in protocol.photos],
    }
    answers = bench.cache.answers("correlations", identity, people, ask, label=f"{name}: people, {data.name}", read=read)
    return np.array([answers.found[person] for person in people])
