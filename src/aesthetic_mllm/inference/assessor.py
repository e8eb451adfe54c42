"""The public face: photos in; ratings, comments and suggestions out, for everybody or in the eyes of one person."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from PIL import Image

from ..checkpoints import embedded_checkpoint
from ..engine.loading import load_checkpoint
from ..engine.onnx_ratings import OnnxRatings
from ..personalization.person import Person
from ..personalization.personalizers import Personalizer
from ..personalization.profile_making import Progress, Ratings, Source, make_profile
from ..processing.image_loading import ImageSource
from ..tasks.personalizing import Profile, Reliability, Taste
from .base_assessor import BaseAssessor
from .server_assessor import ServerAssessor


class AestheticAssessor(BaseAssessor):
    """Judges photos: ratings, attributes, comments, suggestions, order, embeddings.

    A photo is a path, the bytes of a file, a Pillow image, or an array or tensor of its pixels ([`array_to_image`]). One photo
    gives one result. Many photos give a list in their order: an iterable of them, an array of four dimensions, a pandas Series, a
    `datasets.Dataset` with one column of images, or a column of one. Each method's `_stream` yields the results one by one, with
    few photos held at a time.

    Ratings do not depend on how photos are batched: in float32, alone or in any batch, within 1e-4 of the score range.

    What all methods share:
        on_error: `"raise"` the first photo's [`ImageError`], or `"return"` it in the photo's place.
        batch_size: photos in one forward.

    Args:
        model: an [`AestheticMLLMForConditionalGeneration`].
        processor: its [`AestheticMLLMProcessor`].
        personalizer: turns the general ratings of one question into a person's; default none.
    """

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] | None = None,
        *,
        dtype: str | torch.dtype = "float32",
        device: str | torch.device | None = None,
        onnx: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> "AestheticAssessor":
        """An assessor of a checkpoint.

        Args:
            model: folder or Hub id, of a checkpoint or of LoRA adapters, which are merged into the checkpoint that they name;
                default the checkpoint that ships inside the package.
            dtype: float32; or, for speed at a tolerance of 1% of the score range, bfloat16 where the machine has it.
            device: default the GPU where there is one, else the CPU. Not with a `device_map`.
            onnx: a file that `aesthetic-mllm export` made of this checkpoint. ONNX Runtime then rates with it on the CPU, which
                is faster; comments, personal ratings and questions that it does not answer stay the model's.
            kwargs: `base`, the folder or Hub id of adapters' base, where it is not found by the name that they have for it. For
                the model's `from_pretrained`, such as `device_map`, `quantization_config` and `attn_implementation`; what
                says where files are (`revision`, `token`, `cache_dir`, `subfolder`, `local_files_only`) for the processor's too.

        Raises:
            CheckpointError: the checkpoint does not fit the model, or adapters do not fit their base.
            EmbeddedCheckpointError: the installation lacks the embedded checkpoint.
            OnnxFileError: ONNX Runtime is not installed, or the file is not one of this checkpoint.
            TypeError: `torch_dtype`, which is called `dtype`.
            ValueError: both a `device` and a `device_map`.
        """
        name = str(embedded_checkpoint() if model is None else model)
        assessor = AestheticAssessor(*load_checkpoint(name, dtype=dtype, device=device, **kwargs))
        if onnx is not None:
            assessor.onnx = OnnxRatings(onnx, assessor.processor)
            assessor.onnx.check(assessor.engine)
        return assessor

    @classmethod
    def from_server(
        cls,
        url: str | Sequence[str],
        model: str | os.PathLike[str] | None = None,
        *,
        served_model: str | None = None,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        concurrency: int = 16,
        **kwargs: Any,
    ) -> ServerAssessor:
        """An assessor that asks servers with OpenAI's interface, such as `vllm serve`, instead of loading the weights.

        Ratings are those of a loaded checkpoint, within the server's arithmetic. Comments are plain: what guides them away from
        what can be said of any photo, and checks them against it, needs a loaded checkpoint. So do `embed` and `personalize`.

        Args:
            url: address of a server, such as "http://127.0.0.1:8000"; or several, which share the work and stand in for each
                other.
            model: folder or Hub id of the checkpoint that is served, of which only the processor is loaded; default the
                checkpoint that ships inside the package.
            served_model: the checkpoint's name on the servers; default the only one that they serve.
            token: API key of the servers.
            timeout: seconds for one try.
            retries: how often all servers are tried again, with growing pauses, where they are busy, broken or away.
            concurrency: questions that are under way at a time, over all servers.
            kwargs: what says where the processor's files are: `revision`, `cache_dir`, `subfolder`, `local_files_only`.

        Raises:
            ImportError: `openai` is not installed.
            ServerError: no server answers, or they serve several models and none was named.
            ValueError: no address, or a number that is out of range.
        """
        return ServerAssessor.connect(
            [url] if isinstance(url, str) else list(url),
            model,
            served_model=served_model,
            token=token,
            timeout=timeout,
            retries=retries,
            concurrency=concurrency,
            **kwargs,
        )

    def personalize(
        self,
        ratings: Ratings[Source] = (),
        *,
        pairs: Iterable[tuple[ImageSource, ImageSource]] = (),
        likes: Iterable[ImageSource] = (),
        score_range: tuple[float, float] | None = None,
        question: str | None = None,
        method: str = "auto",
        keep: Literal["tokens", "thumbnails"] = "tokens",
        progress: Progress = iter,
    ) -> "PersonalAssessor":
        """An assessor that predicts one person's ratings, from photos they rated, pairs they compared, or photos they like.

        Args:
            ratings: photos with their ratings, the higher the better. None at all: the general assessor's ratings.
            pairs: the preferred photo, and the other.
            likes: photos that are liked; of others nothing is known.
            score_range: worst and best rating that could be given; default a usual range of which the ratings reach both ends.
            question: that the ratings answer; default the checkpoint's first.
            method: "ridge" (ridge regression with other people's tastes as the prior), "in_context" (the photos and ratings are
                given in the prompt; the checkpoint must have been taught to read them), or "auto": ridge.
            keep: what is kept, and saved, of the photos: what the model saw of them ("tokens"), or also small "thumbnails".
            progress: shows how far it is: takes the photos that are looked at and gives them on, as `tqdm` does.

        Raises:
            ImageError: a photo cannot be read or judged.
            ProfileError: ratings that make no profile, such as one distinct rating only, or a method that the checkpoint lacks.
            RatingScaleError: the checkpoint does not answer the question.
        """
        profile, photos = make_profile(
            self.engine,
            ratings,
            pairs=pairs,
            likes=likes,
            score_range=score_range,
            question=question,
            keep=keep,
            progress=progress,
        )
        return PersonalAssessor(Person(self.engine, profile, photos, method))


class PersonalAssessor(AestheticAssessor):
    """Judges photos as one person would; made by [`AestheticAssessor.personalize`] or [`PersonalAssessor.load`].

    Every method is the assessor's own; only the ratings of the profile's question are transformed into the person's, and so is
    what follows from them: order, picks, comparisons, and which suggestions are worth making. Other questions, attributes and
    comments are about the photo and stay as they are. A profile of no photos gives exactly the general ratings. Personal ratings
    have no percentile.

    Args:
        person: the profile, its photos, and the transform that follows from them.
    """

    def __init__(self, person: Person):
        super().__init__(person.engine.model, person.engine.processor, person.personalizer)
        self.person = person

    @property
    def profile(self) -> Profile:
        """What the person said."""
        return self.person.profile

    @property
    def method(self) -> Personalizer | None:
        """How the person's ratings are predicted; `None` for a profile of no photos."""
        return self.person.personalizer

    def update(self, ratings: Ratings[Source] = (), **said: Any) -> "PersonalAssessor":
        """This person after more ratings, pairs or likes of the same kind; of a photo rated again the newer rating counts.

        Args:
            ratings, said: as of `personalize`; the range is the profile's where none is stated, and what is kept of photos too.

        Raises:
            ImageError, ProfileError: as `personalize`; or the new ones do not fit the profile.
        """
        method = said.pop("method", self.person.method)
        newer, photos = make_profile(self.engine, ratings, **{**self.person.kept(), **said})
        return self if photos is None else PersonalAssessor(self.person.updated(newer, photos, method))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the profile to one safetensors file. It holds no photos but thumbnails, and those only if they were to be kept.

        Raises:
            ProfileError: the file cannot be written.
        """
        self.person.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], assessor: AestheticAssessor) -> "PersonalAssessor":
        """The person whose profile was saved, with identical ratings.

        Raises:
            ProfileError: there is no such file, it is no profile, was changed, or was made with another checkpoint or version.
        """
        return cls(Person.load(path, assessor.engine))

    def describe(self) -> tuple[Taste, ...]:
        """What the profile certainly says of the person's taste, the strongest first: what they like more, or less, than the
        general ratings explain. Of measured traits; where they tell nothing, of rated attributes. Empty where nothing is
        certain."""
        return self.person.tastes()

    def reliability(self) -> Reliability:
        """How reliable the personal ratings are: how well each rating of the profile is predicted from the others."""
        return self.person.reliability()

    def thumbnails(self) -> list[Image.Image]:
        """The profile's photos, small; empty where they were not to be kept."""
        return self.person.thumbnails()
