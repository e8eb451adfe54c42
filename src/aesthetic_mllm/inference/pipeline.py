"""`transformers.pipeline("image-aesthetic-assessment")`: the assessor behind the interface that users of transformers know."""

import urllib.error
import urllib.request
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, Pipeline

from ..engine.engine import DEFAULT_BATCH_SIZE
from ..engine.loading import sparing_alignment
from ..engine.photo_collections import as_photos, is_one_photo
from ..processing.image_loading import ImageSource, UnreadableImageError
from .assessor import AestheticAssessor

# Seconds that a server may be silent.
TIMEOUT = 30


class FullPrecisionModel(AutoModelForImageTextToText):
    """Loads a model for the pipeline in float32 where no dtype is asked for.

    Pipelines take the dtype that a checkpoint was stored in, but one that is stored in bfloat16 to be small is not to be
    computed so: scores would be coarser, and on most CPUs many times slower.
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        older = kwargs.pop("torch_dtype", None)  # as transformers called it before
        dtype = kwargs.get("dtype", "auto") if older is None else older
        kwargs["dtype"] = "float32" if dtype == "auto" else dtype
        if kwargs.get("quantization_config") is not None:
            kwargs["quantization_config"] = sparing_alignment(kwargs["quantization_config"])
        return AutoModelForImageTextToText.from_pretrained(pretrained_model_name_or_path, *args, **kwargs)


class ImageAestheticAssessmentPipeline(Pipeline):
    """Photos in, [`Assessment`]s as dictionaries out.

    ```python
    assess = pipeline("image-aesthetic-assessment", model="a checkpoint")
    assess("photo.jpg")["rating"]["mean"]
    ```

    Args of a call:
        inputs: a path, URL, the bytes of a file, a Pillow image, an array or tensor, one or a list of them; a generator streams,
            and so do a data set's column of images and a pandas Series.
        verify: whether suggested edits are tried, as in [`AestheticAssessor.assess`].
        batch_size: photos in one forward.

    Raises:
        ImageError: a photo cannot be fetched, read or judged.
    """

    _load_processor = True
    _load_tokenizer = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_video_processor = False

    def __init__(self, *args: Any, batch_size: int = DEFAULT_BATCH_SIZE, **kwargs: Any):
        super().__init__(*args, batch_size=batch_size, **kwargs)
        self.assessor = AestheticAssessor(self.model, self.processor)

    def __call__(self, inputs: Any, **parameters: Any) -> Any:
        """As the class says; an array of four dimensions is a batch of photos."""
        if is_one_photo(inputs) or isinstance(inputs, list | Generator | torch.utils.data.Dataset):
            return super().__call__(inputs, **parameters)
        return list(super().__call__((photo for photo in as_photos(inputs)), **parameters))

    def _sanitize_parameters(self, verify: bool | None = None, **unknown: Any) -> tuple[dict, dict, dict]:
        if unknown:
            raise TypeError(
                f"Unknown options of image-aesthetic-assessment: {', '.join(unknown)}; it takes verify and batch_size."
            )
        return {}, {} if verify is None else {"verify": verify}, {}

    def preprocess(self, input_: Any, **parameters: Any) -> Any:
        return {"image": fetch(input_)}

    def _forward(self, input_tensors: Any, **parameters: Any) -> Any:
        return self.assessor.assess(input_tensors["image"], **parameters)

    def postprocess(self, model_outputs: Any, **parameters: Any) -> dict[str, Any]:
        return model_outputs.to_dict()

    def get_iterator(
        self,
        inputs: Iterable[Any],
        num_workers: int,
        batch_size: int,
        preprocess_params: Mapping[str, Any],
        forward_params: Mapping[str, Any],
        postprocess_params: Mapping[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """Many photos: the assessor reads them in threads and judges them in batches, whatever their shapes."""
        for result in self.assessor.assess_stream(map(fetch, inputs), **forward_params, batch_size=batch_size):
            yield self.postprocess(result)


def fetch(source: ImageSource) -> ImageSource:
    """What a URL (http, https) leads to, as the bytes of a file; everything else as it is.

    Raises:
        UnreadableImageError: it leads nowhere.
    """
    if not isinstance(source, str) or not source.startswith(("http://", "https://")):
        return source
    try:
        with urllib.request.urlopen(source, timeout=TIMEOUT) as answer:
            return answer.read()
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise UnreadableImageError(source, f"cannot be fetched ({error}).") from error
