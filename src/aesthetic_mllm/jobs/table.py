"""The table that a job writes: its columns, and the row of a photo."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..engine.photo_collections import Photos
from ..inference.base_assessor import BaseAssessor
from ..processing.image_loading import ImageError
from ..processing.rating_scale import Rating
from ..tasks.assessment import Assessment
from .reading import PhotoFacts

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]
Answer = dict[str, Rating] | Assessment
# Where the file itself says its score range.
SCORE_RANGE = "aesthetic_mllm.score_range"
STATISTICS = ("mean", "std", "percentile", "distribution")


@dataclass(frozen=True)
class Request:
    """What is asked of every photo.

    Args:
        questions: that are answered by ratings, the main one first.
        assess: whether comment and suggestions are wanted too.
        verify: whether suggested edits are tried.
    """

    questions: tuple[str, ...]
    assess: bool = False
    verify: bool = False

    @classmethod
    def scores(cls, assessor: BaseAssessor, question: str | None = None, *, attributes: bool = False) -> "Request":
        """Ratings of one question, and of the attributes if they are wanted.

        Raises:
            RatingScaleError: the checkpoint does not answer the question.
        """
        scale = assessor.processor.rating_scale
        scale.question(question)
        return cls(tuple(dict.fromkeys([question or scale.default_question, *(scale.attributes if attributes else ())])))

    @classmethod
    def assessments(cls, assessor: BaseAssessor, *, verify: bool = False) -> "Request":
        """Everything that the checkpoint can say."""
        scale = assessor.processor.rating_scale
        asked = (scale.default_question, "quality", *scale.attributes)
        return cls(tuple(dict.fromkeys(question for question in asked if question in scale.questions)), True, verify)

    def stream(self, assessor: BaseAssessor, photos: Photos, batch_size: int) -> Iterator[Answer | ImageError]:
        """The answers, or errors in the place of photos that cannot be judged."""
        if self.assess:
            return assessor.assess_stream(photos, self.verify, on_error="return", batch_size=batch_size)
        return assessor.ratings_stream(photos, self.questions, on_error="return", batch_size=batch_size)

    def ratings(self, answer: Answer) -> Mapping[str, Rating]:
        """An answer's ratings by question."""
        if not isinstance(answer, Assessment):
            return answer
        found = {self.questions[0]: answer.rating, **answer.attributes}
        return found if answer.quality is None else {"quality": answer.quality, **found}


def fingerprint(assessor: BaseAssessor, request: Request, profile: str | None = None) -> dict[str, Any]:
    """What must be the same for a photo's row to be the same; batches, devices, readers and servers' addresses are not in it.

    Args:
        profile: digest of the file of a person's profile.
    """
    scale = assessor.processor.rating_scale
    checkpoint, dtype = assessor.checkpoint_identity()
    return {
        "checkpoint": checkpoint,
        "questions": list(request.questions),
        "assess": request.assess,
        "verify": request.verify,
        "profile": profile,
        "dtype": dtype,
        "levels": [word.strip() for word in scale.level_words],
        "score_range": list(scale.score_range),
        "version": __version__,
    }


def schema(found: Mapping[str, Any]) -> "pyarrow.Schema":
    """The columns of a job's table.

    Args:
        found: the job's [`fingerprint`].
    """
    import pyarrow as pa

    levels = pa.struct([(word, pa.float32()) for word in found["levels"]])
    kinds = {"distribution": levels}
    suggestion = pa.struct([
        ("text", pa.string()), ("edit", pa.string()), ("amount", pa.float32()), ("unit", pa.string()),
        ("measured_gain", pa.float32()), ("flaw", pa.string()),
    ])  # fmt: skip
    said = [("comment", pa.string()), ("suggestions", pa.list_(suggestion))] if found["assess"] else []
    columns = [
        *((name, pa.string()) for name in ("path", "name", "sha256")),
        ("taken", pa.timestamp("ms")),
        *((f"{question}_{value}", kinds.get(value, pa.float32())) for question in found["questions"] for value in STATISTICS),
        *said,
        *((name, pa.string()) for name in ("error", "checkpoint", "version")),
        ("path_bytes", pa.binary()),
    ]
    low, high = found["score_range"]
    return pa.schema(columns, {SCORE_RANGE: f"{low:g},{high:g}"})


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one job.

    Args:
        request: what was asked.
        found: the job's [`fingerprint`].
    """

    request: Request
    found: Mapping[str, Any]

    def row(self, facts: PhotoFacts, answer: Answer | ImageError) -> Row:
        """The row of a photo, with its answer or what is wrong with it."""
        key, name = facts.key, facts.name
        made: Row = {
            "path": text(key),
            "path_bytes": key_bytes(key) if text(key) != key else None,
            "name": None if name is None else text(name),
            "sha256": facts.sha256,
            "taken": facts.taken,
            "checkpoint": self.found["checkpoint"],
            "version": self.found["version"],
        }
        if isinstance(answer, ImageError):
            return made | {"error": text(answer.reason)}
        for question, rating in self.request.ratings(answer).items():
            made |= {f"{question}_{value}": getattr(rating, value) for value in STATISTICS}
        if isinstance(answer, Assessment):
            made |= {"comment": answer.comment, "suggestions": [asdict(suggestion) for suggestion in answer.suggestions]}
        return made


def to_table(rows: Sequence[Row], columns: "pyarrow.Schema") -> "pyarrow.Table":
    """Rows as a table; values that a row lacks are null."""
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows), columns)


def text(name: str) -> str:
    """A name as valid Unicode: bytes that are no UTF-8 are written as \\xNN."""
    return key_bytes(name).decode("utf-8", "backslashreplace")


def key_bytes(key: str) -> bytes:
    """The bytes of a name, whatever they are."""
    return key.encode("utf-8", "surrogateescape")


def keys(table: "pyarrow.Table | pyarrow.RecordBatch") -> Iterable[bytes]:
    """The exact keys of a table's rows."""
    for name, exact in zip(table.column("path").to_pylist(), table.column("path_bytes").to_pylist(), strict=True):
        yield key_bytes(name) if exact is None else exact
